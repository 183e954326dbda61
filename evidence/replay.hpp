// What PCR values an event log leads to.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "eventlog.hpp"

namespace vmsec::boot {

using PcrValues = std::array<std::string, kPcrCount>;  // raw digests

// An event that extended a PCR, with its digest of the replay's bank.
struct Measurement {
  std::uint32_t number = 0;
  std::uint32_t pcr = 0;
  std::uint32_t type = 0;  // as the log says: for people, never for decisions
  DigestBytes digest;
};

struct Replay {
  Hash bank = Hash::sha256;
  PcrValues values;
  std::vector<Measurement> measurements;
  std::uint32_t events = 0;
};

// Extends one bank as the TPM did: an error where the log has no digests of it.
// Events of EV_NO_ACTION extend nothing; a StartupLocality event sets where PCR 0 starts.
Result<Replay> replay(std::string_view log, Hash bank = Hash::sha256);

}  // namespace vmsec::boot
