// Which host CPUs each vCPU may run on.
#pragma once

#include <vector>

#include "connection.hpp"
#include "vmsec/capability/resource_control.hpp"

namespace vmsec::kvm {

// CPU numbers as libvirt's little-endian bit map, and back. No CPUs, and all of
// them, are the same thing: the list is empty then.
std::vector<unsigned char> cpu_map_of(const std::vector<std::uint32_t>& cpus, std::uint32_t host_cpus);
std::vector<std::uint32_t> cpus_of(const unsigned char* map, std::size_t size, std::uint32_t host_cpus);

// `invalid_argument` for a vCPU that is not there, or a list that does not
// ascend; `limit_exceeded` for a CPU that the host has not.
Status check_pin(const VcpuPin& pin, std::uint32_t vcpus, std::uint32_t host_cpus, std::string_view operation);

Result<std::vector<VcpuPin>> read_pins(virDomainPtr domain, std::uint32_t vcpus, std::uint32_t host_cpus,
                                       std::string_view operation);
Status write_pin(virDomainPtr domain, const VcpuPin& pin, std::uint32_t host_cpus, unsigned int flags,
                 std::string_view operation);

}  // namespace vmsec::kvm
