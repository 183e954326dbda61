#include "probes.hpp"

#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include "scan.hpp"
#include "vmsec/fd.hpp"

namespace vmsec::cli {
namespace {

namespace fs = std::filesystem;

// The first folder of PATH (and the sbin folders) that has the program.
std::string program(const std::string& name) {
  std::string path = std::getenv("PATH") != nullptr ? std::getenv("PATH") : "";
  path += ":/usr/sbin:/sbin";
  for (std::size_t at = 0; at <= path.size();) {
    const auto colon = std::min(path.find(':', at), path.size());
    const std::string file = path.substr(at, colon - at) + "/" + name;
    if (::access(file.c_str(), X_OK) == 0) return file;
    at = colon + 1;
  }
  return {};
}

struct ClosePipe {
  void operator()(std::FILE* pipe) const { ::pclose(pipe); }
};

// The first line that a program prints; the words are ours, never a user's.
std::string first_line_of(const std::string& command) {
  const std::unique_ptr<std::FILE, ClosePipe> pipe(
      ::popen((command + " 2>/dev/null").c_str(), "re"));  // mistake-ok: constants
  std::array<char, 256> line{};
  if (!pipe || std::fgets(line.data(), line.size(), pipe.get()) == nullptr) return {};
  std::string text(line.data());
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

bool listens(const std::string& path) {
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (!socket.valid() || path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

Probe kvm() {
  const Fd device(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!device.valid()) return {"KVM", false, std::string("/dev/kvm: ") + std::strerror(errno), {}};
  const int version = ::ioctl(device.get(), KVM_GET_API_VERSION, 0);
  const Fd machine(version == KVM_API_VERSION ? ::ioctl(device.get(), KVM_CREATE_VM, 0) : -1);
  if (!machine.valid()) return {"KVM", false, "/dev/kvm opens, but makes no VM", {}};
  return {"KVM", true, "/dev/kvm makes VMs", {}};
}

Probe qemu() {
  const std::string file = program("qemu-system-x86_64");
  if (file.empty()) return {"QEMU", false, "no qemu-system-x86_64", "qemu-system-x86"};
  return {"QEMU", true, first_line_of("'" + file + "' --version"), {}};
}

Probe libvirt() {
  for (const auto* path : {"/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock"})
    if (listens(path)) return {"libvirt", true, path, {}};
  if (!program("libvirtd").empty() || !program("virtqemud").empty())
    return {"libvirt", false, "installed, but nobody listens: systemctl start libvirtd", {}};
  return {"libvirt", false, "no libvirtd", "libvirt-daemon-system"};
}

Probe xen() {
  std::ifstream type("/sys/hypervisor/type");
  std::string name;
  type >> name;
  if (name != "xen") return {"Xen", false, "this machine was not booted by Xen", {}};
  std::error_code ignored;
  if (!fs::exists("/proc/xen/capabilities", ignored)) return {"Xen", false, "a guest of Xen, not its domain 0", {}};
  return {"Xen", true, "this is Xen's domain 0", {}};
}

Probe tpm() {
  for (const auto* device : {"/dev/tpmrm0", "/dev/tpm0"})
    if (::access(device, R_OK | W_OK) == 0) return {"TPM 2.0", true, device, {}};
  return {"TPM 2.0", false, "no /dev/tpmrm0: this host's boot cannot be attested", {}};
}

Probe swtpm() {
  const std::string file = program("swtpm");
  if (file.empty()) return {"swtpm", false, "no virtual TPMs for guests", "swtpm"};
  return {"swtpm", true, file, {}};
}

Probe cgroups() {
  std::string found;
  std::ifstream unified("/sys/fs/cgroup/cgroup.controllers");
  for (std::string name; unified >> name;) found += (found.empty() ? "v2: " : " ") + name;
  if (!found.empty()) return {"cgroups", true, found, {}};
  for (const auto* name : {"cpu", "cpuset", "memory", "blkio"}) {
    std::error_code ignored;
    if (fs::exists(std::string("/sys/fs/cgroup/") + name + "/tasks", ignored))
      found += (found.empty() ? "v1: " : " ") + std::string(name);
  }
  if (found.empty()) return {"cgroups", false, "no controllers at /sys/fs/cgroup: CPU limits will not hold", {}};
  return {"cgroups", true, found, {}};
}

// In a network namespace of its own, which ends with the command.
bool works_in_namespace(const std::string& command) {
  return std::system(("unshare --net sh -c '" + command + "' >/dev/null 2>&1").c_str()) == 0;  // mistake-ok: constants
}

Probe traffic_control() {
  const std::string file = program("tc");
  if (file.empty()) return {"tc", false, "NIC limits need it", "iproute2"};
  if (::geteuid() != 0) return {"tc", true, file + " (as root, doctor tries a limit too)", {}};
  if (!works_in_namespace("tc qdisc add dev lo root tbf rate 1mbit burst 16k latency 50ms"))
    return {"tc", false, "this kernel has no token bucket (sch_tbf): NICs cannot be limited", {}};
  return {"tc", true, file + ", with token buckets", {}};
}

Probe intermediate_device() {
  std::error_code ignored;
  if (fs::exists("/sys/module/ifb", ignored)) return {"ifb", true, "loaded", {}};
  if (::geteuid() != 0) return {"ifb", false, "not loaded; as root, doctor tries to make one", {}};
  if (works_in_namespace("ip link add name vmsecprobe type ifb")) return {"ifb", true, "this kernel makes them", {}};
  return {"ifb", false, "this kernel has none: what a guest sends cannot be limited by it", {}};
}

Probe memfd() {
  const Fd file(::memfd_create("vmsec-probe", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const bool sealed = file.valid() && ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_GROW) == 0;
  return {"memfd", sealed, sealed ? "with seals" : "no sealed memory files in this kernel", {}};
}

Probe userfault() {
  const Fd fault(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
  if (!fault.valid()) return {"userfaultfd", false, std::strerror(errno), {}};
  uffdio_api api{};
  api.api = UFFD_API;
  if (::ioctl(fault.get(), UFFDIO_API, &api) != 0) return {"userfaultfd", false, std::strerror(errno), {}};
  const bool protects = (api.features & UFFD_FEATURE_PAGEFAULT_FLAG_WP) != 0;
  return {"userfaultfd", true, protects ? "with write protection" : "without write protection", {}};
}

// None where the trust stores cannot be read: then none loads.
std::vector<PluginInfo> installed_plugins() {
  const auto trust = Trust::read({});
  return trust ? scan_plugins({installed_folder("plugins")}, *trust) : std::vector<PluginInfo>{};
}

bool plugin_loads(const std::string& name) {
  for (const auto& plugin : installed_plugins())
    if (plugin.name == name) return plugin.problem.empty();
  return false;
}

Probe plugins() {
  std::string good, bad;
  if (const auto trust = Trust::read({}); !trust) return {"plugins", false, trust.error().message, {}};
  for (const auto& plugin : installed_plugins()) (plugin.problem.empty() ? good : bad) += " " + plugin.name;
  if (good.empty()) return {"plugins", false, "none loads in " + installed_folder("plugins"), {}};
  return {"plugins", true, "load:" + good + (bad.empty() ? "" : "; do not load:" + bad), {}};
}

// Not running is no fault of the machine.
Probe agent_at(const std::string& socket) {
  if (listens(socket)) return {"vmsecd", true, "listens at " + socket, {}};
  std::error_code ignored;
  const bool configured = fs::exists("/etc/vmsec/vmsecd.toml", ignored);
  return {
      "vmsecd",
      false,
      "nobody listens at " + socket +
          (configured ? ": vmsecd --check, then start it" : ": it needs /etc/vmsec/vmsecd.toml (docs/quickstart.md)"),
      {}};
}

}  // namespace

Diagnosis examine_machine(const std::string& agent) {
  const Probe emulator = qemu(), daemon = libvirt();
  Diagnosis diagnosis;
  diagnosis.probes = {kvm(),
                      emulator,
                      daemon,
                      xen(),
                      tpm(),
                      swtpm(),
                      cgroups(),
                      traffic_control(),
                      intermediate_device(),
                      memfd(),
                      userfault(),
                      plugins(),
                      agent_at(agent)};
  if (plugin_loads("sim") && memfd().present) diagnosis.backends.push_back("sim");
  if (plugin_loads("kvm") && emulator.present && daemon.present) diagnosis.backends.push_back("kvm");
  return diagnosis;
}

}  // namespace vmsec::cli
