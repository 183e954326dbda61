#include "isolation/wanted.hpp"

#include <algorithm>

#include "vmsec/section.hpp"

namespace vmsec::isolation {

namespace {

constexpr std::uint32_t kLargestWeight = 10'000;
constexpr std::uint32_t kLargestVcpus = 4096;  // beyond any domain's, as the next
constexpr std::uint32_t kLargestCpu = 4095;    // beyond any host's; bounds what a typing error can ask for
constexpr std::uint64_t kLargestQuota = 4096UL * 1000;

Result<Cpus> cpus_of(const Setting& setting) {
  constexpr std::string_view kWant = "a list of host CPUs, such as [0, 1]; [] is all of them";
  if (setting.type != SettingType::list) return wrong_type(setting, kWant);
  Cpus cpus;
  for (const std::string& element : setting.list) {
    const auto cpu = number_of(element, kLargestCpu);
    if (!cpu)
      return fail(Code::invalid_argument, units::quoted(element) + " is no host CPU: want " + std::string(kWant));
    if (std::ranges::find(cpus, *cpu) != cpus.end())
      return fail(Code::invalid_argument, "host CPU " + element + " is listed twice");
    cpus.push_back(*cpu);
  }
  std::ranges::sort(cpus);
  return cpus;
}

Status read_vcpu(const Setting& setting, const SettingPath& path, Wanted& wanted) {
  if (path.size() != 3 || path[2] != "pin") return unknown_key("vcpu.<number>.pin");
  const auto vcpu = number_of(path[1], kLargestCpu);
  if (!vcpu) return fail(Code::invalid_argument, units::quoted(path[1]) + " is no vCPU: want its number");
  VMSEC_TRY(Cpus cpus, cpus_of(setting));
  if (!wanted.vcpu_pins.emplace(*vcpu, std::move(cpus)).second)
    return fail(Code::invalid_argument, "vCPU " + std::to_string(*vcpu) + " is pinned twice");
  return {};
}

Status read_one(const Setting& setting, const SettingPath& path, Wanted& wanted) {
  if (path[0] == "vcpu" && path.size() > 1) return read_vcpu(setting, path, wanted);
  if (path.size() == 1 && path[0] == "cpu_weight") {
    VMSEC_TRY(wanted.cpu_weight, integer_of(setting, 1, kLargestWeight));
    return {};
  }
  if (path.size() == 1 && path[0] == "cpu_quota") {
    VMSEC_TRY(const std::uint64_t quota, limit_of(setting, units::kPercent));
    if (quota > kLargestQuota)
      return fail(Code::invalid_argument, units::quoted(setting.text) + " is more than 4096 CPUs");
    wanted.cpu_quota_millis = static_cast<std::uint32_t>(quota);
    return {};
  }
  if (path.size() == 1 && path[0] == "memory_limit") {
    VMSEC_TRY(const std::uint64_t limit, limit_of(setting, units::kSize));
    wanted.memory_limit = Bytes{limit};
    return {};
  }
  if (path.size() == 1 && path[0] == "vcpus") {
    VMSEC_TRY(wanted.vcpus, integer_of(setting, 1, kLargestVcpus));
    return {};
  }
  if (path.size() == 1 && path[0] == "pin") {
    VMSEC_TRY(wanted.pin, cpus_of(setting));
    return {};
  }
  return unknown_key("cpu_weight, cpu_quota, memory_limit, vcpus, pin or vcpu.<number>.pin");
}

}  // namespace

Findings read(const Settings& section, Wanted& wanted) {
  return read_section(section,
                      [&](const Setting& setting, const SettingPath& path) { return read_one(setting, path, wanted); });
}

}  // namespace vmsec::isolation
