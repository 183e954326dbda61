// How many vCPUs a domain has, and may have.
#pragma once

#include "connection.hpp"

namespace vmsec::kvm {

Result<std::uint32_t> vcpus_maximum_of(virDomainPtr domain, const std::string& operation);

// `unsupported` where a vCPU cannot be taken away whatever the guest does.
Status check_unplug(virDomainPtr domain, const std::string& operation);

// Plugs vCPUs in, or has the guest let go of them. `unsupported` for those that were not plugged in so that they can
// be taken away, `timeout` where the guest does not let go: it may still do so later. libvirt waits for the guest for
// some seconds, in which other changes of this domain wait for it.
Status write_vcpus(virDomainPtr domain, std::uint32_t count, unsigned int flags, const std::string& operation);

}  // namespace vmsec::kvm
