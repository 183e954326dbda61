// A choice of PCRs.
#pragma once

#include <cstdint>
#include <string>

#include "eventlog.hpp"

namespace vmsec::boot {

// PCRs as bits, PCR 0 the lowest; of which bank is said beside.
struct PcrMask {
  std::uint32_t bits = 0;

  [[nodiscard]] constexpr bool has(std::uint32_t pcr) const { return (bits >> pcr & 1U) != 0; }
  constexpr void add(std::uint32_t pcr) { bits |= 1U << pcr; }
  [[nodiscard]] constexpr bool valid() const { return bits != 0 && bits >> kPcrCount == 0; }
  friend constexpr bool operator==(const PcrMask&, const PcrMask&) = default;
};

struct PcrSelection {
  PcrMask pcrs;
  Hash bank = Hash::sha256;
};

// "0,1,2,7"
std::string to_string(PcrMask mask);

inline constexpr PcrMask kFirmwarePcrs{0x0000ff};  // 0 to 7: what a reference covers unless it says otherwise
inline constexpr PcrMask kImaPcrs{0x0007ff};       // 10, IMA's; its first entry is of 0 to 9
inline constexpr PcrMask kUsualPcrs{0x0002ff};     // and 9, of what was booted: always quoted
// 0 to 9, and 14, where boot loaders measure: those of them that a log knows are learned. What comes later depends on
// more than the boot.
inline constexpr PcrMask kLearnedPcrs{0x0043ff};

}  // namespace vmsec::boot
