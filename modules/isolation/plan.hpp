// What differs between a domain's limits and the policy's.
#pragma once

#include "isolation/wanted.hpp"
#include "vmsec/capability/resource_control.hpp"
#include "vmsec/service/enforcement.hpp"

namespace vmsec::isolation {

struct Plan {
  Changes changes;        // for people
  ResourceLimits limits;  // for the backend: only what differs
};

// Errors: `unsupported` for a limit that this backend does not have,
// `limit_exceeded` for a vCPU or a host CPU that is not there, or more vCPUs than the domain may have.
Result<Plan> make_plan(const Wanted& wanted, const ResourceLimits& is, const DomainInfo& domain,
                       const HostResources& host);

}  // namespace vmsec::isolation
