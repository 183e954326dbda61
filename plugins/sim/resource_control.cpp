#include "resource_control.hpp"

#include <algorithm>

#include "vcpu_number.hpp"

namespace vmsec::sim {
namespace {

using common::check_vcpus;

constexpr std::uint32_t kWeightLeast = 2;
constexpr std::uint32_t kWeightMost = 262144;
constexpr std::uint64_t kMemoryLeast = 1 << 20;

}  // namespace

Result<HostResources> SimResourceControl::host(const Empty&) {
  VMSEC_CHECK(host_.faults().call("ResourceControl.Host"));
  const auto& settings = host_.settings();
  return HostResources{settings.cpus, settings.memory, "simulated hypervisor, host " + settings.name};
}

Result<ResourceLimits> SimResourceControl::get(const DomainRef& request) {
  VMSEC_CHECK(host_.faults().call("ResourceControl.Get"));
  VMSEC_TRY(auto limits, host_.limits(request.domain, "get resource limits of"));
  // Kept for all that it may have, told of those that it has.
  auto& pins = limits.resources.pins;
  pins.resize(std::min<std::size_t>(pins.size(), limits.resources.vcpus.value_or(0)));
  return limits.resources;
}

Result<Empty> SimResourceControl::set(const SetResources& request) {
  VMSEC_CHECK(host_.faults().call("ResourceControl.Set"));
  VMSEC_CHECK(host_.change_limits(
      request.domain, "set resource limits of",
      [&](const DomainSpec& spec, Limits& limits) { return edit(spec, request.limits, limits.resources); }));
  return Empty{};
}

Status SimResourceControl::edit(const DomainSpec& spec, const ResourceLimits& wanted, ResourceLimits& limits) const {
  const auto& settings = host_.settings();
  const std::string on = " on " + spec.name + ": ";
  if (wanted.cpu_weight) {
    if (*wanted.cpu_weight < kWeightLeast || *wanted.cpu_weight > kWeightMost)
      return fail(Code::limit_exceeded, "set CPU weight" + on + std::to_string(*wanted.cpu_weight) + " is not within " +
                                            std::to_string(kWeightLeast) + " to " + std::to_string(kWeightMost));
    limits.cpu_weight = wanted.cpu_weight;
  }
  if (wanted.cpu_quota_millis) {
    if (*wanted.cpu_quota_millis > settings.cpus * std::uint64_t{1000})
      return fail(Code::limit_exceeded, "set CPU quota" + on + std::to_string(*wanted.cpu_quota_millis) +
                                            " thousandths exceed the host's " + std::to_string(settings.cpus) +
                                            " CPUs");
    limits.cpu_quota_millis = wanted.cpu_quota_millis;
  }
  if (wanted.memory_limit) {
    const auto bytes = wanted.memory_limit->value;
    if (bytes > settings.memory.value)
      return fail(Code::limit_exceeded, "set memory limit" + on + std::to_string(bytes) + " bytes exceed the host's " +
                                            std::to_string(settings.memory.value));
    if (bytes != 0 && bytes < kMemoryLeast)
      return fail(Code::limit_exceeded, "set memory limit" + on + std::to_string(bytes) +
                                            " bytes are below the least, " + std::to_string(kMemoryLeast));
    limits.memory_limit = wanted.memory_limit;
  }
  if (wanted.vcpus) {
    VMSEC_CHECK(check_vcpus(*wanted.vcpus, spec.vcpus_maximum, "set the number of vCPUs on " + spec.name));
    limits.vcpus = wanted.vcpus;
  }
  for (const auto& pin : wanted.pins) {
    const std::string what = "pin vCPU " + std::to_string(pin.vcpu) + on;
    const std::uint32_t vcpus = limits.vcpus.value_or(spec.vcpus);
    if (pin.vcpu >= vcpus) return fail(Code::invalid_argument, what + "it has " + std::to_string(vcpus) + " vCPUs");
    if (std::ranges::adjacent_find(pin.cpus, std::ranges::greater_equal()) != pin.cpus.end())
      return fail(Code::invalid_argument, what + "the CPUs are not ascending");
    if (!pin.cpus.empty() && pin.cpus.back() >= settings.cpus)
      return fail(Code::limit_exceeded, what + "CPU " + std::to_string(pin.cpus.back()) + " exceeds the host's " +
                                            std::to_string(settings.cpus) + " CPUs");
    limits.pins[pin.vcpu] = pin;
  }
  return {};
}

}  // namespace vmsec::sim
