// What differs between a domain's limits and the policy's.
#pragma once

#include <vector>

#include "throttle/wanted.hpp"
#include "vmsec/capability/io_control.hpp"
#include "vmsec/service/enforcement.hpp"

namespace vmsec::throttle {

struct Plan {
  Changes changes;               // for people
  std::vector<DiskLimit> disks;  // for the backend: whole limits, of the devices that differ
  std::vector<NicLimit> nics;
};

// `not_found` for a device that the domain does not have.
//
// Backends round: libvirt keeps a NIC's limit in KiB/s, for example. A rate that
// was read back within 1 % of what is wanted is as wanted. Operations per second
// are compared exactly.
Result<Plan> make_plan(const Wanted& wanted, const IoLimits& is);

}  // namespace vmsec::throttle
