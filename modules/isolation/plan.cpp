#include "isolation/plan.hpp"

#include <algorithm>

#include "vmsec/section.hpp"

namespace vmsec::isolation {

namespace {

constexpr std::uint64_t kPage = 4096;  // backends keep memory limits in KiB or in pages

std::string quota_text(std::uint32_t millis) { return millis == 0 ? "unlimited" : to_text(PerMille{millis}); }
std::string memory_text(Bytes limit) { return limit.value == 0 ? "unlimited" : to_text(limit); }

std::string cpus_text(const Cpus& cpus) {
  if (cpus.empty()) return "all CPUs";
  std::string out;
  for (const auto cpu : cpus) out += (out.empty() ? "CPU " : ", ") + std::to_string(cpu);
  return out;
}

bool same_memory(Bytes is, Bytes wanted) {
  if (is.value == 0 || wanted.value == 0) return is == wanted;
  return std::max(is, wanted).value - std::min(is, wanted).value < kPage;
}

// Backends say "all" as no CPUs, or as the list of all.
Cpus normal(Cpus cpus, const HostResources& host) {
  std::ranges::sort(cpus);
  if (cpus.size() >= host.cpus && host.cpus != 0) cpus.clear();
  return cpus;
}

template <class T>
Status need(const std::optional<T>& is, std::string_view what, const HostResources& host) {
  if (is) return {};
  return fail(Code::unsupported, std::string(what) + ": " + host.hypervisor + " has no such limit for this domain");
}

Result<std::map<std::uint32_t, Cpus>> wanted_pins(const Wanted& wanted, const ResourceLimits& is,
                                                  const DomainInfo& domain, const HostResources& host) {
  std::map<std::uint32_t, Cpus> pins;
  // Those that it has afterwards, and those that the guest may still keep or take by itself.
  std::uint32_t vcpus = wanted.vcpus.value_or(domain.vcpus);
  std::uint32_t there = vcpus;
  for (const VcpuPin& pin : is.pins) there = std::max(there, pin.vcpu + 1);
  if (!wanted.vcpus) vcpus = there;
  if (wanted.pin)
    for (std::uint32_t vcpu = 0; vcpu < there; ++vcpu) pins[vcpu] = *wanted.pin;
  for (const auto& [vcpu, cpus] : wanted.vcpu_pins) pins[vcpu] = cpus;
  for (auto& [vcpu, cpus] : pins) {
    const std::string what = "pin of vCPU " + std::to_string(vcpu);
    if (vcpu >= (wanted.vcpu_pins.contains(vcpu) ? vcpus : there))
      return fail(Code::limit_exceeded, what + ": the domain has " + std::to_string(vcpus) + " vCPUs, from 0");
    if (!cpus.empty() && cpus.back() >= host.cpus)
      return fail(Code::limit_exceeded, what + " to CPU " + std::to_string(cpus.back()) + ": the host has " +
                                            std::to_string(host.cpus) + " CPUs, from 0");
    cpus = normal(std::move(cpus), host);
  }
  return pins;
}

Status plan_vcpus(Plan& plan, const Wanted& wanted, const ResourceLimits& is, const DomainInfo& domain,
                  const HostResources& host) {
  if (!wanted.vcpus) return {};
  VMSEC_CHECK(need(is.vcpus, "vcpus", host));
  if (*wanted.vcpus > domain.vcpus_maximum)
    return fail(Code::limit_exceeded, "vcpus: " + std::to_string(*wanted.vcpus) + " exceed the domain's maximum of " +
                                          std::to_string(domain.vcpus_maximum));
  if (*is.vcpus == *wanted.vcpus) return {};
  plan.limits.vcpus = wanted.vcpus;
  plan.changes.changes.push_back({"vcpus", std::to_string(*is.vcpus), std::to_string(*wanted.vcpus)});
  return {};
}

Status plan_pins(Plan& plan, const Wanted& wanted, const ResourceLimits& is, const DomainInfo& domain,
                 const HostResources& host) {
  VMSEC_TRY(const auto pins, wanted_pins(wanted, is, domain, host));
  for (const auto& [vcpu, cpus] : pins) {
    const auto found = std::ranges::find(is.pins, vcpu, &VcpuPin::vcpu);
    const Cpus now = found == is.pins.end() ? Cpus{} : normal(found->cpus, host);
    if (now == cpus) continue;
    plan.limits.pins.push_back({vcpu, cpus});
    plan.changes.changes.push_back({"vcpu." + std::to_string(vcpu) + ".pin", cpus_text(now), cpus_text(cpus)});
  }
  return {};
}

}  // namespace

Result<Plan> make_plan(const Wanted& wanted, const ResourceLimits& is, const DomainInfo& domain,
                       const HostResources& host) {
  Plan plan;
  auto& changes = plan.changes.changes;
  if (wanted.cpu_weight) {
    VMSEC_CHECK(need(is.cpu_weight, "cpu_weight", host));
    if (*is.cpu_weight != *wanted.cpu_weight) {
      plan.limits.cpu_weight = wanted.cpu_weight;
      changes.push_back({"cpu_weight", std::to_string(*is.cpu_weight), std::to_string(*wanted.cpu_weight)});
    }
  }
  if (wanted.cpu_quota_millis) {
    VMSEC_CHECK(need(is.cpu_quota_millis, "cpu_quota", host));
    if (!nearly_equal(*is.cpu_quota_millis, *wanted.cpu_quota_millis)) {
      plan.limits.cpu_quota_millis = wanted.cpu_quota_millis;
      changes.push_back({"cpu_quota", quota_text(*is.cpu_quota_millis), quota_text(*wanted.cpu_quota_millis)});
    }
  }
  if (wanted.memory_limit) {
    VMSEC_CHECK(need(is.memory_limit, "memory_limit", host));
    if (!same_memory(*is.memory_limit, *wanted.memory_limit)) {
      plan.limits.memory_limit = wanted.memory_limit;
      changes.push_back({"memory_limit", memory_text(*is.memory_limit), memory_text(*wanted.memory_limit)});
    }
  }
  VMSEC_CHECK(plan_vcpus(plan, wanted, is, domain, host));
  VMSEC_CHECK(plan_pins(plan, wanted, is, domain, host));
  return plan;
}

}  // namespace vmsec::isolation
