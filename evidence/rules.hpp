// What the single rules of a reference say of what was measured. By digests alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "reference.hpp"
#include "replay.hpp"

namespace vmsec::boot {

inline constexpr std::uint32_t kSecureBootPcr = 7;

// One rule about one measurement.
struct Ruling {
  std::uint32_t event = 0;  // its number in the log
  std::string key;          // "part.kernel": where the reference says so; empty: nowhere
  std::size_t line = 0;
  bool allowed = false;
};

struct Rulings {
  std::vector<Ruling> events;  // of each measurement of that PCR, in order
  std::string cause;           // the first thing that is not as the rule says; empty: all is
};

using Measured = std::vector<const Measurement*>;  // of one PCR, in order

Measured measured_into(const Replay& replay, std::uint32_t pcr);
bool is_allowed(std::string_view digest, const std::vector<std::string>& allowed);
// "90ea..., or 2 more"
std::string allowed_text(const std::vector<std::string>& allowed);

Rulings by_events(const Reference& reference, std::uint32_t pcr, const Measured& measured);
Rulings by_sequence(const Reference& reference, std::uint32_t pcr, const Measured& measured);
// Whether Secure Boot was on, and the lists of keys and authorities.
Rulings by_secure_boot(const Reference& reference, const Measured& measured);

// What firmware measures first into PCR 7: that variable with that one byte.
Result<std::string> secure_boot_digest(Hash bank, bool on);

}  // namespace vmsec::boot
