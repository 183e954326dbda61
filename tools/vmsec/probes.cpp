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

#include <algorithm>
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

Probe has(const std::string& name, const std::string& detail) {
  return {"machine", name, Standing::ok, detail, {}, {}};
}
Probe lacks(const std::string& name, const std::string& detail, const std::string& package = {},
            const std::string& next = {}) {
  return {"machine", name, Standing::missing, detail, package, next};
}

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
  if (!device.valid()) return lacks("KVM", std::string("/dev/kvm: ") + std::strerror(errno));
  const int version = ::ioctl(device.get(), KVM_GET_API_VERSION, 0);
  const Fd machine(version == KVM_API_VERSION ? ::ioctl(device.get(), KVM_CREATE_VM, 0) : -1);
  if (!machine.valid()) return lacks("KVM", "/dev/kvm opens, but makes no VM");
  return has("KVM", "/dev/kvm makes VMs");
}

Probe qemu() {
  const std::string file = program("qemu-system-x86_64");
  if (file.empty()) return lacks("QEMU", "no qemu-system-x86_64", "qemu-system-x86");
  return has("QEMU", first_line_of("'" + file + "' --version"));
}

Probe libvirt() {
  for (const auto* path : {"/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock"})
    if (listens(path)) return has("libvirt", path);
  if (!program("libvirtd").empty() || !program("virtqemud").empty())
    return lacks("libvirt", "installed, but nobody listens", {}, "systemctl start libvirtd");
  return lacks("libvirt", "no libvirtd", "libvirt-daemon-system");
}

Probe xen() {
  std::ifstream type("/sys/hypervisor/type");
  std::string name;
  type >> name;
  if (name != "xen") return lacks("Xen", "this machine was not booted by Xen");
  std::error_code ignored;
  if (!fs::exists("/proc/xen/capabilities", ignored)) return lacks("Xen", "a guest of Xen, not its domain 0");
  return has("Xen", "this is Xen's domain 0");
}

Probe tpm() {
  for (const auto* device : {"/dev/tpmrm0", "/dev/tpm0"})
    if (::access(device, R_OK | W_OK) == 0) return has("TPM 2.0", device);
  return lacks("TPM 2.0", "no /dev/tpmrm0: this host's boot cannot be attested");
}

Probe swtpm() {
  const std::string file = program("swtpm");
  if (file.empty()) return lacks("swtpm", "no virtual TPMs for guests", "swtpm");
  return has("swtpm", file);
}

Probe cgroups() {
  std::string found;
  std::ifstream unified("/sys/fs/cgroup/cgroup.controllers");
  for (std::string name; unified >> name;) found += (found.empty() ? "v2: " : " ") + name;
  if (!found.empty()) return has("cgroups", found);
  for (const auto* name : {"cpu", "cpuset", "memory", "blkio"}) {
    std::error_code ignored;
    if (fs::exists(std::string("/sys/fs/cgroup/") + name + "/tasks", ignored))
      found += (found.empty() ? "v1: " : " ") + std::string(name);
  }
  if (found.empty()) return lacks("cgroups", "no controllers at /sys/fs/cgroup: CPU limits will not hold");
  return has("cgroups", found);
}

// In a network namespace of its own, which ends with the command.
bool works_in_namespace(const std::string& command) {
  return std::system(("unshare --net sh -c '" + command + "' >/dev/null 2>&1").c_str()) == 0;  // mistake-ok: constants
}

Probe traffic_control() {
  const std::string file = program("tc");
  if (file.empty()) return lacks("tc", "NIC limits need it", "iproute2");
  if (::geteuid() != 0) return has("tc", file + " (as root, doctor tries a limit too)");
  if (!works_in_namespace("tc qdisc add dev lo root tbf rate 1mbit burst 16k latency 50ms"))
    return lacks("tc", "this kernel has no token bucket (sch_tbf): NICs cannot be limited");
  return has("tc", file + ", with token buckets");
}

Probe intermediate_device() {
  std::error_code ignored;
  if (fs::exists("/sys/module/ifb", ignored)) return has("ifb", "loaded");
  if (::geteuid() != 0) return lacks("ifb", "not loaded; as root, doctor tries to make one");
  if (works_in_namespace("ip link add name vmsecprobe type ifb")) return has("ifb", "this kernel makes them");
  return lacks("ifb", "this kernel has none: what a guest sends cannot be limited by it");
}

Probe memfd() {
  const Fd file(::memfd_create("vmsec-probe", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const bool sealed = file.valid() && ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_GROW) == 0;
  return sealed ? has("memfd", "with seals") : lacks("memfd", "no sealed memory files in this kernel");
}

Probe userfault() {
  const Fd fault(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
  if (!fault.valid()) return lacks("userfaultfd", std::strerror(errno));
  uffdio_api api{};
  api.api = UFFD_API;
  if (::ioctl(fault.get(), UFFDIO_API, &api) != 0) return lacks("userfaultfd", std::strerror(errno));
  const bool protects = (api.features & UFFD_FEATURE_PAGEFAULT_FLAG_WP) != 0;
  return has("userfaultfd", protects ? "with write protection" : "without write protection");
}

// None where the trust stores cannot be read: then none loads.
std::vector<PluginInfo> plugins_at(const ProbePlaces& places) {
  const auto trust = Trust::read(places.trust);
  return trust ? scan_plugins(places.plugins, *trust) : std::vector<PluginInfo>{};
}

Probe plugins(const std::vector<PluginInfo>& found) {
  std::string good, bad;
  for (const auto& plugin : found) (plugin.problem.empty() ? good : bad) += " " + plugin.name;
  const std::string others = bad.empty() ? "" : "; do not load:" + bad;
  if (good.empty()) return lacks("plugins", "none loads" + others, {}, "see trust, below; or install one");
  return has("plugins", "load:" + good + others);
}

// Not running is no fault of the machine.
Probe agent_at(const std::string& socket) {
  if (listens(socket)) return has("vmsecd", "listens at " + socket);
  std::error_code ignored;
  const bool configured = fs::exists("/etc/vmsec/vmsecd.toml", ignored);
  return lacks(
      "vmsecd", "nobody listens at " + socket, {},
      configured ? "vmsecd --check; systemctl start vmsecd" : "write /etc/vmsec/vmsecd.toml (docs/quickstart.md)");
}

ProbePlaces with_defaults(ProbePlaces places) {
  if (places.plugins.empty()) places.plugins = {installed_folder("plugins")};
  if (places.modules.empty()) places.modules = {installed_folder("modules")};
  return places;
}

}  // namespace

std::string_view to_string(Standing standing) {
  if (standing == Standing::missing) return "missing";
  return standing == Standing::ok ? "ok" : "attention";
}

Diagnosis examine_machine(const ProbePlaces& given) {
  const ProbePlaces places = with_defaults(given);
  // First of all: plugins that are loaded later may have threads, and children are tried here.
  const auto sandbox = examine_sandbox();
  const auto found = plugins_at(places);
  const Probe emulator = qemu(), daemon = libvirt(), hypervisor = xen();
  Diagnosis diagnosis;
  diagnosis.probes = {kvm(),
                      emulator,
                      daemon,
                      hypervisor,
                      tpm(),
                      swtpm(),
                      cgroups(),
                      traffic_control(),
                      intermediate_device(),
                      memfd(),
                      userfault(),
                      plugins(found),
                      agent_at(places.agent)};
  for (const auto& more : {sandbox, examine_trust(places)})
    diagnosis.probes.insert(diagnosis.probes.end(), more.begin(), more.end());
  const auto loads = [&](const char* name) {
    return std::ranges::any_of(found, [&](const auto& one) { return one.name == name && one.problem.empty(); });
  };
  if (loads("sim") && memfd().present()) diagnosis.backends.emplace_back("sim");
  if (loads("kvm") && emulator.present() && daemon.present()) diagnosis.backends.emplace_back("kvm");
  if (loads("xen") && hypervisor.present()) diagnosis.backends.emplace_back("xen");
  return diagnosis;
}

}  // namespace vmsec::cli
