// Disk limits as libvirt's block I/O tuning.
#pragma once

#include "connection.hpp"
#include "vmsec/capability/io_control.hpp"

namespace vmsec::kvm {

// `invalid_argument` for a burst that bounds nothing, `limit_exceeded` beyond QEMU's largest.
Status check_disk_limit(const DiskLimit& limit, std::string_view operation);

Result<DiskLimit> read_disk_limit(virDomainPtr domain, const std::string& target, std::string_view operation);
// Replaces all limits of the disk, and reads them back.
Status write_disk_limit(virDomainPtr domain, const DiskLimit& limit, unsigned int flags, std::string_view operation);

Result<IoCounters> read_disk_counters(virDomainPtr domain, const std::string& target, std::string_view operation);

}  // namespace vmsec::kvm
