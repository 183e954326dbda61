// A domain's disks as dom0's kernel serves them.
#pragma once

#include <string>

#include "disk_cgroups.hpp"
#include "libxl.hpp"

namespace vmsec::xen {

// `unsupported` where it is not blkback that serves the disk.
Result<BackendDisk> backend_disk(Libxl& libxl, std::uint32_t domid, libxl_device_disk& disk,
                                 const std::string& operation);
Result<IoCounters> disk_counters(Libxl& libxl, std::uint32_t domid, libxl_device_disk& disk,
                                 const std::string& operation);
// Of the host's interface, as the guest sees it.
Result<IoCounters> nic_counters(const std::string& name, const std::string& operation);

}  // namespace vmsec::xen
