#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <string>

#include "sandbox.hpp"

namespace vmsec::worker {
namespace {

// A sanitizer's shadow memory is beyond any budget: its builds, which only test, have none.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

constexpr std::size_t kStack = 1 << 20;  // of a thread; it counts as memory

std::unexpected<Error> no(const std::string& step) { return fail(errno_error(step, errno, Code::unavailable)); }

Status close_range_or(unsigned first, unsigned last) {
  if (first > last) return {};
  if (::syscall(SYS_close_range, first, last, 0) != 0) return no("close what was left open");
  return {};
}

Status drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) return no("drop capabilities");
  return {};
}

Status limit(int resource, rlim_t value, const char* name) {
  const rlimit wanted{value, value};
  if (::setrlimit(static_cast<__rlimit_resource_t>(resource), &wanted) != 0)
    return no(std::string("limit ") + name + " to " + std::to_string(value));
  return {};
}

// What this kernel's Landlock knows of: all of it is taken away.
std::uint64_t file_rights(long version) {
  std::uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;  // version 1
  if (version >= 2) rights |= std::uint64_t{1} << 13;             // refer
  if (version >= 3) rights |= std::uint64_t{1} << 14;             // truncate
  if (version >= 5) rights |= std::uint64_t{1} << 15;             // ioctl of devices
  return rights;
}

// The kernel's structure, which grew: what an older kernel does not know stays zero.
struct Ruleset {
  std::uint64_t files = 0;
  std::uint64_t network = 0;  // version 4
  std::uint64_t scopes = 0;   // version 6
};

}  // namespace

Status keep_only(int control, int object, int notes) {
  std::array<int, 6> kept{0, 1, 2, control, object, notes};
  std::ranges::sort(kept);
  unsigned next = 0;
  for (const int fd : kept) {
    if (fd < 0) continue;
    if (static_cast<unsigned>(fd) > next) VMSEC_CHECK(close_range_or(next, static_cast<unsigned>(fd) - 1));
    next = std::max(next, static_cast<unsigned>(fd) + 1);
  }
  return close_range_or(next, ~0U);
}

Status drop_privileges(const Setup& setup) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return no("give up new privileges");
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return no("drop capabilities for good");
  if (setup.user != 0) {
    if (::setgroups(0, nullptr) != 0) return no("leave all groups");
    if (::setresgid(setup.user, setup.user, setup.user) != 0) return no("become another group");
    if (::setresuid(setup.user, setup.user, setup.user) != 0) return no("become another user");
  }
  VMSEC_CHECK(drop_capabilities());
  // Both are lost by a change of user: so they come after it.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return no("refuse tracing");
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return no("die with the host");
  if (::setsid() < 0 && errno != EPERM) return no("leave the host's session");
  return {};
}

Status check_host(const Fd& control) {
  pollfd entry{control.get(), 0, 0};
  if (::poll(&entry, 1, 0) < 0) return no("look for the host");
  if ((entry.revents & (POLLHUP | POLLERR)) != 0) return fail(Code::unavailable, "the host has ended");
  return {};
}

Status set_limits(const Setup& setup) {
  VMSEC_CHECK(limit(RLIMIT_CORE, 0, "core dumps"));
  VMSEC_CHECK(limit(RLIMIT_FSIZE, 0, "files that are written"));
  VMSEC_CHECK(limit(RLIMIT_MEMLOCK, 0, "locked memory"));
  VMSEC_CHECK(limit(RLIMIT_SIGPENDING, 64, "pending signals"));
  VMSEC_CHECK(limit(RLIMIT_MSGQUEUE, 0, "message queues"));
  VMSEC_CHECK(limit(RLIMIT_RTPRIO, 0, "real-time priority"));
  VMSEC_CHECK(limit(RLIMIT_NOFILE, setup.descriptors, "descriptors"));
  VMSEC_CHECK(limit(RLIMIT_NPROC, setup.threads, "threads"));
  if (!kSanitized) VMSEC_CHECK(limit(RLIMIT_DATA, setup.memory, "memory"));
  pthread_attr_t attributes{};
  if (::pthread_attr_init(&attributes) != 0 || ::pthread_attr_setstacksize(&attributes, kStack) != 0 ||
      ::pthread_setattr_default_np(&attributes) != 0)
    return fail(Code::unavailable, "limit threads' stacks: it cannot be set");
  ::pthread_attr_destroy(&attributes);
  return {};
}

Status close_file_systems() {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) return no("Landlock: this kernel has none");
  Ruleset rules;
  rules.files = file_rights(version);
  if (version >= 4) rules.network = 3;  // bind and connect, TCP
  if (version >= 6) rules.scopes = 3;   // abstract sockets, signals
  const std::size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
  const Fd ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, size, 0)));
  if (!ruleset.valid()) return no("Landlock: make rules");
  const Fd object(::open(kObjectPath, O_PATH | O_CLOEXEC));
  if (!object.valid()) return no("Landlock: find the module's object");
  landlock_path_beneath_attr rule{};
  rule.allowed_access = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE;
  rule.parent_fd = object.get();
  if (::syscall(SYS_landlock_add_rule, ruleset.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
    return no("Landlock: allow the module's object");
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) return no("Landlock: restrict the process");
  return {};
}

}  // namespace vmsec::worker
