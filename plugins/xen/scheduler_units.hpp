// vmsec's CPU weight and quota in the units of Xen's credit and credit2.
#pragma once

#include <string>

#include "libxl.hpp"

namespace vmsec::xen {

inline constexpr std::uint32_t kWeightRatio = 4;  // vmsec's usual weight is 1024, Xen's is 256
inline constexpr std::uint32_t kLargestWeight = 65535;
inline constexpr std::uint32_t kCapMillis = 10;  // a cap is in hundredths of one CPU
inline constexpr std::uint32_t kLargestCap = 65535;

inline bool has_weights(libxl_scheduler scheduler) {
  return scheduler == LIBXL_SCHEDULER_CREDIT || scheduler == LIBXL_SCHEDULER_CREDIT2;
}

// To the nearest that Xen has; a quota is never rounded to nothing, which would be no quota.
inline int to_xen_weight(std::uint32_t weight) { return static_cast<int>((weight + kWeightRatio / 2) / kWeightRatio); }
inline std::uint32_t from_xen_weight(int weight) {
  return weight <= 0 ? 0 : static_cast<std::uint32_t>(weight) * kWeightRatio;
}
inline int to_xen_cap(std::uint32_t millis) {
  if (millis == 0) return 0;
  return static_cast<int>(millis < kCapMillis ? 1 : (millis + kCapMillis / 2) / kCapMillis);
}
inline std::uint32_t from_xen_cap(int cap) { return cap <= 0 ? 0 : static_cast<std::uint32_t>(cap) * kCapMillis; }

// `limit_exceeded` outside of what Xen, or the host, has.
inline Status check_weight(std::uint32_t weight, const std::string& operation) {
  const int xen = to_xen_weight(weight);
  if (xen >= 1 && xen <= static_cast<int>(kLargestWeight)) return {};
  return fail(Code::limit_exceeded, operation + ": a CPU weight of " + std::to_string(weight) + " is outside of " +
                                        std::to_string(kWeightRatio / 2) + " to " +
                                        std::to_string(kLargestWeight * kWeightRatio));
}

inline Status check_quota(std::uint32_t millis, std::uint32_t host_cpus, const std::string& operation) {
  if (millis <= host_cpus * 1000 && millis / kCapMillis <= kLargestCap) return {};
  return fail(Code::limit_exceeded, operation + ": a CPU quota of " + std::to_string(millis) +
                                        " thousandths exceeds the host's " + std::to_string(host_cpus) + " CPUs (" +
                                        std::to_string(host_cpus * 1000) + ")");
}

}  // namespace vmsec::xen
