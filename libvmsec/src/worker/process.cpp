#include "worker/process.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>

namespace vmsec::worker {
namespace {

// Users that no system gives to anybody; one for each process that may be, so that no
// worker's threads count as another's.
constexpr std::uint32_t kFirstUser = 1'879'048'192;
constexpr int kControl = 3;
constexpr int kChildFailed = 125;

struct Plan {
  const char* program;
  int control;
  int null;
  bool user_namespace;
  std::string users;  // what is written to uid_map
  std::string groups;
};

bool write_file(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool done = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return done;
}

// Between clone and exec, in a copy of a process with threads: nothing but system calls.
// What fails is told by the exit code: 125, or errno.
[[noreturn]] void become(const Plan& plan) {
  const auto check = [](bool good) {
    if (!good) ::_exit(errno > 0 && errno < kChildFailed ? errno : kChildFailed);
  };
  // From its first moment: the program does so again, as a change of its user loses it.
  check(::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0);
  if (plan.user_namespace) {
    const std::string deny = "deny";  // short: no memory is taken
    check(write_file("/proc/self/setgroups", deny));
    check(write_file("/proc/self/gid_map", plan.groups));
    check(write_file("/proc/self/uid_map", plan.users));
  }
  sigset_t none{};
  ::sigemptyset(&none);
  check(::sigprocmask(SIG_SETMASK, &none, nullptr) == 0);
  ::signal(SIGPIPE, SIG_DFL);
  // Out of the way of the numbers that are wanted.
  const int control = ::fcntl(plan.control, F_DUPFD, 10);
  const int null = ::fcntl(plan.null, F_DUPFD, 10);
  check(control >= 0 && null >= 0);
  for (int fd = 0; fd < kControl; ++fd) check(::dup2(null, fd) == fd);
  check(::dup2(control, kControl) == kControl);
  check(::syscall(SYS_close_range, kControl + 1, ~0U, 0) == 0);
  std::array<char*, 2> arguments{const_cast<char*>("vmsec-worker"), nullptr};
  std::array<char*, 1> environment{nullptr};
  ::execve(plan.program, arguments.data(), environment.data());
  check(false);
  ::_exit(kChildFailed);
}

}  // namespace

Result<Process> Process::begin(const std::string& program, const Fd& control) {
  const std::string what = "begin " + program;
  if (::access(program.c_str(), X_OK) != 0) return fail(errno_error(what, errno, Code::unavailable));
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return fail(errno_error(what + ": open /dev/null", errno, Code::unavailable));
  const bool root = ::geteuid() == 0;
  const Plan plan{program.c_str(),
                  control.get(),
                  null.get(),
                  !root,
                  "0 " + std::to_string(::geteuid()) + " 1\n",
                  "0 " + std::to_string(::getegid()) + " 1\n"};
  int watch = -1;
  clone_args how{};
  how.flags = CLONE_PIDFD | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |
              (root ? 0 : CLONE_NEWUSER);
  how.pidfd = reinterpret_cast<std::uint64_t>(&watch);
  // No signal at its end: whoever else waits for children of this process never meets it.
  how.exit_signal = 0;
  const long id = ::syscall(SYS_clone3, &how, sizeof how);
  if (id < 0) return fail(errno_error(what + " in namespaces of its own", errno, Code::unavailable));
  if (id == 0) become(plan);
  return Process(static_cast<int>(id), Fd(watch));
}

Process::Process(Process&& other) noexcept
    : id_(other.id_), fd_(std::move(other.fd_)), ended_(std::exchange(other.ended_, true)) {}

Process::~Process() {
  if (ended_) return;
  kill();
  wait();
}

void Process::kill() const { ::syscall(SYS_pidfd_send_signal, fd_.get(), SIGKILL, nullptr, 0); }

Status Process::pin(const std::vector<std::uint32_t>& cpus) const {
  const std::size_t most = std::ranges::max(cpus) + 1;
  const std::unique_ptr<cpu_set_t, decltype(&::__sched_cpufree)> set(CPU_ALLOC(most), &::__sched_cpufree);
  if (!set) return fail(Code::unavailable, "pin to CPUs: no memory");
  const std::size_t size = CPU_ALLOC_SIZE(most);
  CPU_ZERO_S(size, set.get());
  std::string named;
  for (const std::uint32_t cpu : cpus) {
    CPU_SET_S(cpu, size, set.get());
    named += (named.empty() ? "" : ", ") + std::to_string(cpu);
  }
  if (::sched_setaffinity(id_, size, set.get()) == 0) return {};
  const std::string what = "run on CPUs " + named + " alone";
  return errno == EINVAL ? fail(Code::invalid_argument, what + ": this machine has none of them for the agent")
                         : fail(errno_error(what, errno, Code::unavailable));
}

ProcessEnd Process::wait() {
  siginfo_t info{};
  rusage used{};
  long got = 0;
  do {
    got = ::syscall(SYS_waitid, P_PIDFD, fd_.get(), &info, WEXITED | __WALL, &used);
  } while (got != 0 && errno == EINTR);
  ended_ = true;
  return {info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED, info.si_status,
          static_cast<std::uint64_t>(used.ru_maxrss) * 1024};
}

ProcessUse Process::use() const {
  ProcessUse use;
  std::ifstream stat("/proc/" + std::to_string(id_) + "/stat");
  // As a whole: its name may hold a newline.
  const std::string text(std::istreambuf_iterator<char>(stat), {});
  std::istringstream rest(text.substr(std::min(text.size(), text.rfind(')') + 2)));
  std::string skipped;
  for (int field = 3; field < 14; ++field) rest >> skipped;
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  if (rest >> user >> system) use.cpu_ticks = user + system;
  for (int field = 16; field < 20; ++field) rest >> skipped;
  rest >> use.threads;
  std::ifstream memory("/proc/" + std::to_string(id_) + "/statm");
  std::array<std::uint64_t, 6> pages{};
  for (auto& number : pages) memory >> number;
  use.has_memory = !memory || pages[0] != 0;
  if (memory) use.data = pages[5] * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return use;
}

std::size_t Process::descriptors() const {
  std::size_t count = 0;
  std::error_code error;
  std::filesystem::directory_iterator each("/proc/" + std::to_string(id_) + "/fd", error);
  while (!error && each != std::filesystem::directory_iterator()) {
    ++count;
    each.increment(error);
  }
  return count;
}

std::uint32_t user_of(const Process& process) {
  return ::geteuid() == 0 ? kFirstUser + static_cast<std::uint32_t>(process.id()) : 0;
}

}  // namespace vmsec::worker
