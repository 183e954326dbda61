#include "cpu_limits.hpp"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <limits>
#include <string>

namespace vmsec::kvm {
namespace {

constexpr std::uint32_t kUsualWeight = 1024;
constexpr std::uint32_t kUsualWeightV2 = 100;

}  // namespace

Result<CpuBandwidth> bandwidth_of(std::uint32_t quota_millis, std::uint32_t vcpus, std::string_view operation) {
  if (quota_millis == 0) return CpuBandwidth{kUsualPeriod, -1};
  const std::uint64_t count = std::max<std::uint32_t>(vcpus, 1);
  // The long period only where the usual one's quota would be below the kernel's
  // least: a shorter one lets the guest wait less.
  for (const std::uint64_t period : {kUsualPeriod, kLongestPeriod}) {
    const auto quota = static_cast<std::int64_t>(quota_millis * period / 1000 / count);
    if (quota >= kLeastQuota) return CpuBandwidth{period, quota};
  }
  return fail(Code::limit_exceeded, std::string(operation) + ": a CPU quota of " + std::to_string(quota_millis) +
                                        " thousandths is below the kernel's least for " + std::to_string(count) +
                                        " vCPUs, " + std::to_string(count));
}

std::uint32_t millis_of(const CpuBandwidth& each, std::uint32_t count) {
  if (each.quota < 1 || each.quota >= kUnlimitedQuota || each.period == 0) return 0;
  const std::uint64_t total = static_cast<std::uint64_t>(each.quota) * count * 1000;
  const std::uint64_t millis = (total + each.period / 2) / each.period;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(millis, 1, std::numeric_limits<std::uint32_t>::max()));
}

std::uint32_t tighter(std::uint32_t a, std::uint32_t b) {
  if (a == 0 || b == 0) return std::max(a, b);
  return std::min(a, b);
}

CgroupVersion host_cgroup_version() {
  struct statfs info{};
  if (statfs("/sys/fs/cgroup", &info) != 0) return CgroupVersion::v1;
  return info.f_type == CGROUP2_SUPER_MAGIC ? CgroupVersion::v2 : CgroupVersion::v1;
}

WeightRange weight_range(CgroupVersion version) {
  return version == CgroupVersion::v1 ? WeightRange{2, 262'144} : WeightRange{11, 102'400};
}

std::uint64_t shares_of(std::uint32_t weight, CgroupVersion version) {
  if (version == CgroupVersion::v1) return weight;
  const std::uint64_t scaled = (std::uint64_t{weight} * kUsualWeightV2 + kUsualWeight / 2) / kUsualWeight;
  return std::clamp<std::uint64_t>(scaled, 1, 10'000);
}

std::uint32_t weight_of(std::uint64_t shares, CgroupVersion version) {
  if (version == CgroupVersion::v2) shares = (shares * kUsualWeight + kUsualWeightV2 / 2) / kUsualWeightV2;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(shares, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace vmsec::kvm
