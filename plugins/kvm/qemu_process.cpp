#include "qemu_process.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <csignal>

namespace vmsec::kvm {
namespace {

constexpr std::size_t kMaximumFile = 1 << 20;

Result<std::string> read_small(int folder, const std::string& path) {
  const Fd file(openat(folder, path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return fail(errno_error("open " + path, errno, Code::unsupported));
  std::string text;
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t count = read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno_error("read " + path, errno, Code::unsupported));
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > kMaximumFile) return fail(Code::unsupported, "read " + path + ": longer than 1 MiB");
  }
}

// Arguments end with NUL each; "-uuid" stands before the UUID.
bool started_with(const std::string& command_line, const Uuid& uuid) {
  const std::string wanted = std::string("-uuid") + '\0' + uuid.text() + '\0';
  const std::size_t at = command_line.find(wanted);
  return at != std::string::npos && at > 0 && command_line[at - 1] == '\0';
}

}  // namespace

Result<QemuProcess> find_qemu(const std::string& run_dir, const std::string& name, const Uuid& uuid) {
  if (name.empty() || name.find('/') != std::string::npos || name.find('\0') != std::string::npos)
    return fail(Code::unsupported, "find QEMU's process: the domain's name is no file name");
  const std::string path = run_dir + "/" + name + ".pid";
  VMSEC_TRY(const std::string text, read_small(AT_FDCWD, path));
  QemuProcess process;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), process.pid);
  if (error != std::errc() || process.pid <= 1) return fail(Code::unsupported, path + " holds no process number");
  const std::string folder = "/proc/" + std::to_string(process.pid);
  process.proc = Fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!process.proc.valid()) return fail(errno_error("open " + folder, errno, Code::unsupported));
  VMSEC_TRY(const std::string command_line, read_small(process.proc.get(), "cmdline"));
  if (!started_with(command_line, uuid))
    return fail(Code::unsupported,
                "process " + std::to_string(process.pid) + " of " + path + " is not QEMU of domain " + uuid.text());
  return process;
}

// Its threads take the signal before they come back from the kernel (pidfd_send_signal(2)).
Status signal_qemu(const QemuProcess& process, ProcessSignal signal) {
  if (!process.proc.valid()) return fail(Code::unsupported, "signal QEMU: its process is not known");
  const int number = signal == ProcessSignal::stop ? SIGSTOP : signal == ProcessSignal::go_on ? SIGCONT : SIGKILL;
  if (::syscall(SYS_pidfd_send_signal, process.proc.get(), number, nullptr, 0) == 0) return {};
  return fail(errno_error("signal QEMU, process " + std::to_string(process.pid)));
}

bool shares_network(const QemuProcess& process) {
  struct stat its{};
  struct stat ours{};
  if (fstatat(process.proc.get(), "ns/net", &its, 0) != 0 || stat("/proc/self/ns/net", &ours) != 0) return false;
  return its.st_dev == ours.st_dev && its.st_ino == ours.st_ino;
}

}  // namespace vmsec::kvm
