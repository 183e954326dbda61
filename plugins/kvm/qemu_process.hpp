// The QEMU process of a domain on this machine.
#pragma once

#include <sys/types.h>

#include <string>

#include "vmsec/fd.hpp"
#include "vmsec/types.hpp"

namespace vmsec::kvm {

inline constexpr const char* kUsualRunDir = "/run/libvirt/qemu";

struct QemuProcess {
  pid_t pid = 0;
  Fd proc;  // /proc/<pid>: names this process even when its number is used again
};

// Found by libvirt's pid file in `run_dir`, and checked: the process must have been started
// with this domain's UUID. `unsupported` where it cannot be found or is not it.
Result<QemuProcess> find_qemu(const std::string& run_dir, const std::string& name, const Uuid& uuid);

// Whether it is in the network namespace of this process.
bool shares_network(const QemuProcess& process);

}  // namespace vmsec::kvm
