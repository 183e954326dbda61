// The QEMU process of a domain on this machine.
#pragma once

#include <sys/types.h>

#include <optional>
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

// Stops and ends it, whatever libvirt or anybody else asks of it meanwhile: a stopped process answers nobody.
enum class ProcessSignal { stop, go_on, kill };
// Named for ever by `proc`: a later process of the same number is never meant. An error where it is gone, too.
Status signal_qemu(const QemuProcess& process, ProcessSignal signal);

// How long its vCPUs' threads were ready to run and did not, as the scheduler counts it; of those that there are now.
// None where the kernel does not count it, or QEMU's threads have no names.
std::optional<Microseconds> vcpu_steal(const QemuProcess& process);

// Whether it is in the network namespace of this process.
bool shares_network(const QemuProcess& process);

}  // namespace vmsec::kvm
