// CPU weight and quota: between our units and those of libvirt and the kernel.
#pragma once

#include <cstdint>
#include <string_view>

#include "vmsec/result.hpp"

namespace vmsec::kvm {

// The kernel's bandwidth control: `quota` microseconds in each `period`.
struct CpuBandwidth {
  std::uint64_t period = 0;
  std::int64_t quota = 0;  // below 1: unlimited
  friend bool operator==(const CpuBandwidth&, const CpuBandwidth&) = default;
};

inline constexpr std::uint64_t kUsualPeriod = 100'000;
inline constexpr std::uint64_t kLongestPeriod = 1'000'000;
inline constexpr std::int64_t kLeastQuota = 1'000;
inline constexpr std::int64_t kUnlimitedQuota = 17'592'186'044'415;  // libvirt's largest

// libvirt's vcpu_quota bounds each vCPU by itself, ours all of them together: it
// is divided by their number, so that the sum never exceeds it. (global_quota would let one busy
// vCPU have all of it, but bounds QEMU's own threads too: a guest with a small quota would then
// slow down its own live migration and every answer of QEMU to libvirt.)
// `limit_exceeded` for a quota that is too small for the kernel.
Result<CpuBandwidth> bandwidth_of(std::uint32_t quota_millis, std::uint32_t vcpus, std::string_view operation);

// The bound in thousandths of a CPU of `count` groups with that bandwidth; 0: none.
std::uint32_t millis_of(const CpuBandwidth& each, std::uint32_t count);

// The tighter of two bounds, of which 0 is none.
std::uint32_t tighter(std::uint32_t a, std::uint32_t b);

// Weights: 1024 is the usual one, as in cgroup v1. In cgroup v2 it is 100.
enum class CgroupVersion { v1, v2 };
CgroupVersion host_cgroup_version();
struct WeightRange {
  std::uint32_t least;
  std::uint32_t most;
};
WeightRange weight_range(CgroupVersion version);
std::uint64_t shares_of(std::uint32_t weight, CgroupVersion version);
std::uint32_t weight_of(std::uint64_t shares, CgroupVersion version);

}  // namespace vmsec::kvm
