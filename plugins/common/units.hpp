// Units of memory.
#pragma once

#include <cstdint>

namespace vmsec::common {

inline constexpr std::uint64_t kKibibyte = 1024;
inline constexpr std::uint64_t kMebibyte = 1024 * kKibibyte;

}  // namespace vmsec::common
