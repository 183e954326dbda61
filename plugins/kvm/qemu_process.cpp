#include "qemu_process.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <csignal>
#include <memory>

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

// "CPU 0/KVM", "CPU 0/TCG", "ALL CPUs/TCG": QEMU names its threads where libvirt starts it.
bool is_vcpu(std::string_view name) { return name.starts_with("CPU ") || name.starts_with("ALL CPUs"); }

// schedstat's second number: nanoseconds on a run queue (the kernel's Documentation/scheduler/sched-stats.rst).
std::optional<std::uint64_t> run_delay(int tasks, const std::string& task) {
  const auto text = read_small(tasks, task + "/schedstat");
  if (!text) return std::nullopt;
  const auto space = text->find(' ');
  if (space == std::string::npos) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text->data() + space + 1, text->data() + text->size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
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

std::optional<Microseconds> vcpu_steal(const QemuProcess& process) {
  const int folder = openat(process.proc.get(), "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return std::nullopt;
  const std::unique_ptr<DIR, int (*)(DIR*)> tasks(fdopendir(folder), closedir);
  if (!tasks) {
    ::close(folder);
    return std::nullopt;
  }
  std::optional<std::uint64_t> nanoseconds;
  while (const dirent* task = readdir(tasks.get())) {
    const auto name = read_small(folder, std::string(task->d_name) + "/comm");
    if (!name || !is_vcpu(*name)) continue;
    const auto counted = run_delay(folder, task->d_name);
    if (!counted) return std::nullopt;
    nanoseconds = nanoseconds.value_or(0) + *counted;
  }
  if (!nanoseconds) return std::nullopt;
  return Microseconds{*nanoseconds / 1000};
}

bool shares_network(const QemuProcess& process) {
  struct stat its{};
  struct stat ours{};
  if (fstatat(process.proc.get(), "ns/net", &its, 0) != 0 || stat("/proc/self/ns/net", &ours) != 0) return false;
  return its.st_dev == ours.st_dev && its.st_ino == ours.st_ino;
}

}  // namespace vmsec::kvm
