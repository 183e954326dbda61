// What a host shows of its boot, as it is sent (proto/vmsec/measured_boot.proto).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "eventlog.hpp"
#include "vmsec/wire.hpp"

namespace vmsec::boot {

// A PCR as the host says: to name the one that differs, and to say how far its logs count. What decides is the quote's
// digest.
struct ClaimedPcr {
  static constexpr std::size_t kAtMost = kPcrCount;  // in one message
  std::uint32_t pcr = 0;
  std::string value;
  static constexpr std::string_view kMessage = "vmsec.measured_boot.ClaimedPcr";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "pcr", &ClaimedPcr::pcr), wire::field(2, "value", &ClaimedPcr::value));
  }
};

struct Evidence {
  std::string attest;     // TPMS_ATTEST
  std::string signature;  // TPMT_SIGNATURE
  std::string event_log;
  std::vector<ClaimedPcr> claimed;
  std::string ima_list;    // Linux' own, as securityfs gives it; empty where it was not asked for or is not there
  std::string module_log;  // of the modules that the host's agent has loaded; empty: it measures none
  static constexpr std::string_view kMessage = "vmsec.measured_boot.Evidence";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "attest", &Evidence::attest), wire::field(2, "signature", &Evidence::signature),
                        wire::field(3, "event_log", &Evidence::event_log),
                        wire::field(4, "claimed", &Evidence::claimed), wire::field(5, "ima_list", &Evidence::ima_list),
                        wire::field(6, "module_log", &Evidence::module_log));
  }
};

}  // namespace vmsec::boot
