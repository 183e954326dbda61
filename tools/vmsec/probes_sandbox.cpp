// Whether a module's sandbox can be had here. What the worker does is done by a child, which
// tells how far it came; where any part is missing, the agent loads no module.
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "probes.hpp"
#include "scan.hpp"

namespace vmsec::cli {
namespace {

constexpr const char* kIsolation = "docs/isolation.md";
constexpr uid_t kWorkerUser = 1'879'048'192;  // of those that workers become
constexpr std::uint64_t kNamespaces =
    CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
constexpr int kNoErrno = 120;

bool is_root() { return ::geteuid() == 0; }

Probe row(const std::string& name, const std::string& problem, const std::string& good, const std::string& next) {
  return problem.empty() ? Probe{"sandbox", name, Standing::ok, good, {}, {}}
                         : Probe{"sandbox", name, Standing::missing, problem, {}, next};
}

// What the child's part fails with, as text; empty: it does not. The child answers errno.
std::string try_in_child(std::uint64_t namespaces, const std::function<bool()>& part) {
  clone_args how{};
  how.flags = namespaces;
  how.exit_signal = SIGCHLD;
  const long id = ::syscall(SYS_clone3, &how, sizeof how);
  if (id < 0) return std::strerror(errno);
  if (id == 0) {
    errno = 0;
    const bool good = part();
    ::_exit(good ? 0 : errno > 0 && errno < kNoErrno ? errno : kNoErrno);
  }
  int status = 0;
  while (::waitpid(static_cast<pid_t>(id), &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) return std::string("a process that tries it ends by ") + ::strsignal(WTERMSIG(status));
  if (WEXITSTATUS(status) == 0) return {};
  return WEXITSTATUS(status) == kNoErrno ? "it does not work" : std::strerror(WEXITSTATUS(status));
}

bool put(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  const bool done = fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (fd >= 0) ::close(fd);
  return done;
}

std::string what_allows_namespaces() {
  return is_root() ? std::string(
                         "whatever keeps root from it (a container; RestrictNamespaces= or a lack of CAP_SYS_ADMIN "
                         "in a unit) must allow it: ") +
                         kIsolation
                   : "run the agent as root, or allow users namespaces: sysctl kernel.unprivileged_userns_clone=1 "
                     "user.max_user_namespaces=10000";
}

Probe namespaces() {
  const std::uint64_t more = is_root() ? 0 : CLONE_NEWUSER;
  const auto problem = try_in_child(kNamespaces | more, [] { return true; });
  return row("namespaces", problem, is_root() ? "mount, pid, network, IPC, UTS, cgroup" : "the same, in one of users",
             what_allows_namespaces());
}

bool become_root_in(uid_t user, gid_t group) {
  return put("/proc/self/setgroups", "deny") && put("/proc/self/gid_map", "0 " + std::to_string(group) + " 1\n") &&
         put("/proc/self/uid_map", "0 " + std::to_string(user) + " 1\n");
}

// Behind it, nothing of this machine's files is seen.
Probe empty_root() {
  const bool root = is_root();
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  const auto problem = try_in_child(kNamespaces | (root ? 0 : CLONE_NEWUSER), [&] {
    if (!root && !become_root_in(user, group)) return false;
    return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("none", "/proc", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m") == 0;
  });
  return row("empty root", problem, "a tmpfs can be mounted in a mount namespace", what_allows_namespaces());
}

Probe worker_user() {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (is_root()) {
    const auto problem = try_in_child(0, [] {
      return ::setgroups(0, nullptr) == 0 && ::setresgid(kWorkerUser, kWorkerUser, kWorkerUser) == 0 &&
             ::setresuid(kWorkerUser, kWorkerUser, kWorkerUser) == 0;
    });
    return row("worker's user", problem, "a user of its own for each process, from " + std::to_string(kWorkerUser),
               std::string("the agent needs CAP_SETUID and CAP_SETGID: ") + kIsolation);
  }
  const auto problem = try_in_child(CLONE_NEWUSER, [&] { return become_root_in(user, group); });
  return row("worker's user", problem, "in a namespace of users; as root, one for each process",
             what_allows_namespaces());
}

std::string modules_of_security() {
  std::ifstream file("/sys/kernel/security/lsm");
  std::string list;
  file >> list;
  return list;
}

Probe landlock() {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) {
    const std::string on = modules_of_security();
    return row("Landlock", std::string("this kernel has none, or it is off: ") + std::strerror(errno), {},
               "boot with lsm=landlock" + (on.empty() ? ",..." : "," + on) +
                   " on the kernel's command line (Linux 5.13 or newer)");
  }
  const auto problem = try_in_child(0, [] {
    std::uint64_t files = LANDLOCK_ACCESS_FS_READ_FILE;
    const long rules = ::syscall(SYS_landlock_create_ruleset, &files, sizeof files, 0);
    return rules >= 0 && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::syscall(SYS_landlock_restrict_self, rules, 0) == 0;
  });
  return row("Landlock", problem, "version " + std::to_string(version),
             std::string("a SystemCallFilter= of the agent's unit must allow @sandbox: ") + kIsolation);
}

// One that allows everything: what is tried is that a process may have one, for all its threads.
bool filter_itself() {
  sock_filter allow{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  const sock_fprog program{1, &allow};
  const std::uint32_t trap = SECCOMP_RET_TRAP;
  return ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &trap) == 0 &&
         ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

Probe seccomp() {
  return row("seccomp", try_in_child(0, filter_itself), "filters of system calls",
             "it needs a kernel with CONFIG_SECCOMP_FILTER; a container's own filter must allow seccomp(2)");
}

Probe worker_program() {
  const auto file = (std::filesystem::path(installed_folder("modules")).parent_path() / "vmsec-worker").string();
  const std::string problem = ::access(file.c_str(), X_OK) == 0 ? "" : file + ": " + std::strerror(errno);
  Probe probe = row("vmsec-worker", problem, file, {});
  if (!problem.empty()) probe.next = "apt install --reinstall libvmsec0";
  return probe;
}

}  // namespace

std::vector<Probe> examine_sandbox() {
  return {namespaces(), empty_root(), worker_user(), landlock(), seccomp(), worker_program()};
}

}  // namespace vmsec::cli
