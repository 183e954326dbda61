// What PCR values an event log leads to.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "eventlog.hpp"

namespace vmsec::boot {

using PcrValues = std::array<std::string, kPcrCount>;  // raw digests

struct BankReplay {
  Hash hash = Hash::sha256;
  PcrValues values;
};

// An event that extended a PCR, with its SHA-256 digest (empty where the log has none).
struct Measurement {
  std::uint32_t number = 0;
  std::uint32_t pcr = 0;
  std::uint32_t type = 0;  // as the log says: for people, never for decisions
  std::string digest;
};

struct Replay {
  std::vector<BankReplay> banks;  // those whose algorithm can be computed here
  std::vector<Measurement> measurements;
  std::uint32_t events = 0;

  [[nodiscard]] const BankReplay* bank(Hash hash) const;
};

// Extends every bank as the TPM did. Events of EV_NO_ACTION extend nothing; a
// StartupLocality event sets where PCR 0 starts.
Result<Replay> replay(std::string_view log);

}  // namespace vmsec::boot
