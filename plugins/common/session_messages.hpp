// What the two ends of a migration session say to each other on its control channel, where the
// hypervisor leaves that to its plugin. Length-framed messages:
//
//   source                                  destination
//   begin (what comes)              ->
//                                   <-      accept, or refuse
//   ... memory and state, on the other channels ...
//   finish (totals, digest, token)  ->      gate
//                                   <-      loaded (token), or refuse
//   finish (behind)                 ->      gate; post-copy: what is left of the memory follows
//                                   <-      runs (token), or refuse
//   ... pages that are asked for, and the others ...
//   sent (digest)                   ->
//                                   <-      loaded (token)
//   abort (at any time before finish) ->
//                                   <-      refuse (at any time before loaded)
#pragma once

#include <string>

#include "vmsec/wire.hpp"

namespace vmsec::common {

enum class ControlKind : std::uint32_t {
  unknown = 0,
  begin = 1,
  accept = 2,
  refuse = 3,
  abort = 4,
  finish = 5,
  loaded = 6,
  runs = 7,
  sent = 8,
};

struct Control {
  ControlKind kind = ControlKind::unknown;
  std::string reason;  // of refuse and abort
  // begin
  std::uint32_t version = 0;
  Uuid migration;
  Uuid domain;
  Bytes memory;
  std::uint32_t bulk = 0;  // channels; none: memory comes on main
  // finish
  std::uint64_t records = 0;  // pages sent, each as often as it was sent
  std::uint64_t digest_low = 0;
  std::uint64_t digest_high = 0;
  std::uint64_t token = 0;  // loaded answers this finish, and no other; so does runs
  bool behind = false;      // pages are, as main has said
  static constexpr std::string_view kMessage = "vmsec.plugin.Control";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "kind", &Control::kind), wire::field(2, "reason", &Control::reason),
                        wire::field(3, "version", &Control::version), wire::field(4, "migration", &Control::migration),
                        wire::field(5, "domain", &Control::domain), wire::field(6, "memory", &Control::memory),
                        wire::field(7, "bulk", &Control::bulk), wire::field(8, "records", &Control::records),
                        wire::field(9, "digest_low", &Control::digest_low),
                        wire::field(10, "digest_high", &Control::digest_high),
                        wire::field(11, "token", &Control::token), wire::field(12, "behind", &Control::behind));
  }
};

inline constexpr std::uint32_t kProtocolVersion = 1;
inline constexpr std::size_t kControlMaximum = 4096;
inline constexpr std::uint32_t kBulkMaximum = 64;

}  // namespace vmsec::common
