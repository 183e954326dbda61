// Where the host's TPM and its event log are, and the way to a guest that tells of its own.
#pragma once

#include <string>

#include "vmsec/interface.hpp"
#include "vmsec/types.hpp"

namespace vmsec {

struct HostEvidence {
  // A TCTI configuration as tpm2-tss's tctildr reads it: "device:/dev/tpmrm0",
  // "swtpm:path=/run/host-a/tpm.sock".
  std::string tcti;
  // The TCG PC Client event log of this host's boot, as firmware wrote it.
  std::string event_log;
  // Linux' IMA measurement list (binary_runtime_measurements); empty where none is configured.
  std::string ima_list;
  // Of the modules that were measured before they were loaded; empty: none is measured.
  std::string module_log;
  static constexpr std::string_view kMessage = "vmsec.HostEvidence";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "tcti", &HostEvidence::tcti), wire::field(2, "event_log", &HostEvidence::event_log),
        wire::field(3, "ima_list", &HostEvidence::ima_list), wire::field(4, "module_log", &HostEvidence::module_log));
  }
};

// To the agent in a guest, on the serial port kGuestPort (vmsec/guest_frame.hpp).
struct GuestRequest {
  Uuid domain;
  std::string request;           // at most kMaxGuestFrame bytes
  std::uint32_t timeout_ms = 0;  // for the answer to come: 1 to kMaxGuestTimeout
  static constexpr std::string_view kMessage = "vmsec.GuestRequest";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "domain", &GuestRequest::domain),
                        wire::field(2, "request", &GuestRequest::request),
                        wire::field(3, "timeout_ms", &GuestRequest::timeout_ms));
  }
};

// What the guest says: any bytes at all may be in it.
struct GuestReply {
  std::string reply;
  static constexpr std::string_view kMessage = "vmsec.GuestReply";
  static constexpr auto fields() { return wire::fields(wire::field(1, "reply", &GuestReply::reply)); }
};

inline constexpr std::uint32_t kMaxGuestTimeout = 60'000;

class BootEvidence {
 public:
  virtual ~BootEvidence() = default;
  // `unsupported` on a host without a TPM.
  virtual Result<HostEvidence> host(const Empty&) = 0;
  // Asks the agent in a running guest. `unsupported`: the domain has no such port, or this hypervisor none at all;
  // `unavailable`: the port is taken, or closed; `timeout`: no answer came. Calls for one domain come one after
  // another.
  virtual Result<GuestReply> guest(const GuestRequest&) = 0;
};

template <>
struct Methods<BootEvidence> {
  static constexpr std::string_view kName = "vmsec.BootEvidence";
  static constexpr auto table() {
    return std::make_tuple(method(1, "Host", &BootEvidence::host), method(2, "Guest", &BootEvidence::guest));
  }
};

template <>
class Proxy<BootEvidence> final : public Remote<BootEvidence> {
 public:
  using Remote::Remote;
  Result<HostEvidence> host(const Empty& r) override { return invoke<1>(r); }
  Result<GuestReply> guest(const GuestRequest& r) override { return invoke<2>(r); }
};

}  // namespace vmsec
