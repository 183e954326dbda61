// CPU and memory of a domain: weight, quota, pinning, memory limit.
#pragma once

#include <optional>
#include <vector>

#include "vmsec/capability/domain_control.hpp"

namespace vmsec {

// Which host CPUs a vCPU may run on. No CPUs means all of them.
struct VcpuPin {
  std::uint32_t vcpu = 0;
  std::vector<std::uint32_t> cpus;  // ascending, without repeats
  static constexpr std::string_view kMessage = "vmsec.VcpuPin";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "vcpu", &VcpuPin::vcpu), wire::field(2, "cpus", &VcpuPin::cpus));
  }
  friend bool operator==(const VcpuPin&, const VcpuPin&) = default;
};

// What is set. In a request an absent field is left as it is; in an answer an
// absent field is one that this backend does not have.
struct ResourceLimits {
  // Relative share of CPU under contention; 1024 is the usual domain's.
  std::optional<std::uint32_t> cpu_weight;
  // Upper bound of all vCPUs together, in thousandths of one host CPU: 1500 is
  // one and a half CPUs. 0 is unlimited.
  std::optional<std::uint32_t> cpu_quota_millis;
  // Upper bound of the host memory that the domain may take. 0 is unlimited.
  std::optional<Bytes> memory_limit;
  std::vector<VcpuPin> pins;  // in a request: only the vCPUs to change
  // How many vCPUs the domain has: 1 to DomainInfo::vcpus_maximum. The guest takes part: set() returns
  // when the hypervisor gave or took them; `timeout` when the guest did not do its part. `wrong_state`
  // for a domain that is paused, unless it has that number already. A vCPU's pins and the others' limits
  // stay. In one call with others it comes first: pins are of the vCPUs that the domain then has.
  std::optional<std::uint32_t> vcpus;
  static constexpr std::string_view kMessage = "vmsec.ResourceLimits";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "cpu_weight", &ResourceLimits::cpu_weight),
                        wire::field(2, "cpu_quota_millis", &ResourceLimits::cpu_quota_millis),
                        wire::field(3, "memory_limit", &ResourceLimits::memory_limit),
                        wire::field(4, "pins", &ResourceLimits::pins), wire::field(5, "vcpus", &ResourceLimits::vcpus));
  }
};

struct SetResources {
  Uuid domain;
  ResourceLimits limits;
  static constexpr std::string_view kMessage = "vmsec.SetResources";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "domain", &SetResources::domain),
                        wire::field(2, "limits", &SetResources::limits));
  }
};

// The host's own sizes: what limits are checked against.
struct HostResources {
  std::uint32_t cpus = 0;
  Bytes memory;
  std::string hypervisor;  // "QEMU 7.2.22 by libvirt 9.0.0"
  static constexpr std::string_view kMessage = "vmsec.HostResources";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "cpus", &HostResources::cpus), wire::field(2, "memory", &HostResources::memory),
                        wire::field(3, "hypervisor", &HostResources::hypervisor));
  }
};

// Any thread may call at any time. Errors beside DomainControl's: `limit_exceeded`
// for a value that the host cannot give (the message says what it can),
// `unsupported` for a limit that this hypervisor or host does not have,
// `wrong_state` for a domain that is shut off. A call that fails part way says in its message
// what was set before; set() reads back what it wrote, and a limit that did not take is an error.
class ResourceControl {
 public:
  virtual ~ResourceControl() = default;
  virtual Result<HostResources> host(const Empty&) = 0;
  virtual Result<ResourceLimits> get(const DomainRef&) = 0;
  virtual Result<Empty> set(const SetResources&) = 0;
};

template <>
struct Methods<ResourceControl> {
  static constexpr std::string_view kName = "vmsec.ResourceControl";
  static constexpr auto table() {
    return std::make_tuple(method(1, "Host", &ResourceControl::host), method(2, "Get", &ResourceControl::get),
                           method(3, "Set", &ResourceControl::set));
  }
};

template <>
class Proxy<ResourceControl> final : public Remote<ResourceControl> {
 public:
  using Remote::Remote;
  Result<HostResources> host(const Empty& r) override { return invoke<1>(r); }
  Result<ResourceLimits> get(const DomainRef& r) override { return invoke<2>(r); }
  Result<Empty> set(const SetResources& r) override { return invoke<3>(r); }
};

}  // namespace vmsec
