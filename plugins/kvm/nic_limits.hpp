// NIC limits: by tc on the tap where it is within reach, else by libvirt.
#pragma once

#include <string>

#include "connection.hpp"
#include "vmsec/capability/io_control.hpp"

namespace vmsec::kvm {

// One NIC of one running domain, by the name of its host side.
struct NicPlace {
  virDomainPtr domain;
  Uuid uuid;
  std::string run_dir;  // of libvirt's pid files
  std::string target;
};

Status check_nic_limit(const NicLimit& limit, std::string_view operation);
Result<NicLimit> read_nic_limit(const NicPlace& nic, std::string_view operation);
// Replaces both limits, and reads them back.
Status write_nic_limit(const NicPlace& nic, const NicLimit& limit, unsigned int flags, std::string_view operation);
Result<IoCounters> read_nic_counters(const NicPlace& nic, std::string_view operation);

}  // namespace vmsec::kvm
