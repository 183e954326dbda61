#include "vcpu_pins.hpp"

#include <algorithm>
#include <string>

namespace vmsec::kvm {

std::vector<unsigned char> cpu_map_of(const std::vector<std::uint32_t>& cpus, std::uint32_t host_cpus) {
  std::vector<unsigned char> map(VIR_CPU_MAPLEN(std::max<std::uint32_t>(host_cpus, 1)), 0);
  const auto use = [&](std::uint32_t cpu) {
    if (cpu < host_cpus) map[cpu / 8] = static_cast<unsigned char>(map[cpu / 8] | (1U << (cpu % 8)));
  };
  for (const auto cpu : cpus) use(cpu);
  if (cpus.empty()) {
    for (std::uint32_t cpu = 0; cpu < host_cpus; ++cpu) use(cpu);
  }
  return map;
}

std::vector<std::uint32_t> cpus_of(const unsigned char* map, std::size_t size, std::uint32_t host_cpus) {
  std::vector<std::uint32_t> cpus;
  for (std::uint32_t cpu = 0; cpu < host_cpus && cpu / 8 < size; ++cpu) {
    if ((map[cpu / 8] >> (cpu % 8) & 1) != 0) cpus.push_back(cpu);
  }
  if (cpus.size() == host_cpus) cpus.clear();
  return cpus;
}

Status check_pin(const VcpuPin& pin, std::uint32_t vcpus, std::uint32_t host_cpus, std::string_view operation) {
  const std::string what = std::string(operation) + ": pin vCPU " + std::to_string(pin.vcpu);
  if (pin.vcpu >= vcpus)
    return fail(Code::invalid_argument, what + ": the domain has " + std::to_string(vcpus) + " vCPUs, from 0");
  if (std::ranges::adjacent_find(pin.cpus, std::ranges::greater_equal()) != pin.cpus.end())
    return fail(Code::invalid_argument, what + ": its CPUs do not ascend, or repeat");
  if (!pin.cpus.empty() && pin.cpus.back() >= host_cpus)
    return fail(Code::limit_exceeded, what + " to CPU " + std::to_string(pin.cpus.back()) + ": the host has " +
                                          std::to_string(host_cpus) + " CPUs, from 0");
  return {};
}

Result<std::vector<VcpuPin>> read_pins(virDomainPtr domain, std::uint32_t vcpus, std::uint32_t host_cpus,
                                       std::string_view operation) {
  const std::size_t each = VIR_CPU_MAPLEN(std::max<std::uint32_t>(host_cpus, 1));
  std::vector<unsigned char> maps(each * vcpus, 0);
  const int count = virDomainGetVcpuPinInfo(domain, static_cast<int>(vcpus), maps.data(), static_cast<int>(each),
                                            VIR_DOMAIN_AFFECT_LIVE);
  if (count < 0) return fail(virt_error(operation));
  std::vector<VcpuPin> pins;
  for (std::uint32_t vcpu = 0; vcpu < static_cast<std::uint32_t>(count); ++vcpu)
    pins.push_back({vcpu, cpus_of(maps.data() + vcpu * each, each, host_cpus)});
  return pins;
}

Status write_pin(virDomainPtr domain, const VcpuPin& pin, std::uint32_t host_cpus, unsigned int flags,
                 std::string_view operation) {
  std::vector<unsigned char> map = cpu_map_of(pin.cpus, host_cpus);
  if (virDomainPinVcpuFlags(domain, pin.vcpu, map.data(), static_cast<int>(map.size()), flags) < 0)
    return fail(virt_error(std::string(operation) + ": pin vCPU " + std::to_string(pin.vcpu)));
  return {};
}

}  // namespace vmsec::kvm
