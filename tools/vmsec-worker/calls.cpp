// The allow-list of system calls. Three answers to what is not on it: what a C library
// tries and can do without is refused; everything else ends the process, by its name.
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "sandbox.hpp"
#include "worker/notes.hpp"

namespace vmsec::worker {
namespace {

constexpr std::array kAllowed = {
    // its descriptors
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
    SCMP_SYS(shutdown),
    SCMP_SYS(close),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(fstat),
    SCMP_SYS(lseek),
    SCMP_SYS(splice),
    SCMP_SYS(tee),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(eventfd2),
    SCMP_SYS(pipe2),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(timerfd_gettime),
    SCMP_SYS(getsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    // its memory
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(membarrier),
    // its threads and signals
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getcpu),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    // time, chance, and who it is
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(times),
    SCMP_SYS(getrusage),
    SCMP_SYS(getrandom),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getppid),
    SCMP_SYS(uname),
    SCMP_SYS(getrlimit),
};

// Tried by C libraries, which go on without them. Everything of paths is among them: there is nothing to find.
constexpr std::array kRefused = {
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(getdents64),
    SCMP_SYS(ioctl),
    SCMP_SYS(sysinfo),
    SCMP_SYS(prlimit64),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(getpriority),
    SCMP_SYS(memfd_create),
    SCMP_SYS(mlock),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(fadvise64),
    SCMP_SYS(fcntl),
    SCMP_SYS(setsockopt),
    SCMP_SYS(prctl),
    SCMP_SYS(mmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(socketpair),
    SCMP_SYS(rt_sigaction),
};

bool is_refused(int call) { return std::ranges::find(kRefused, call) != kRefused.end(); }

// ---- what is told when a call is not allowed --------------------------------------

Notes* notes_ = nullptr;
std::array<std::array<char, 24>, 512> names_{};

void note(std::array<std::atomic<char>, 24>& to, int call) {
  const auto& name = names_[call >= 0 && static_cast<std::size_t>(call) < names_.size() ? call : 0];
  for (std::size_t i = 0; i < to.size(); ++i) to[i].store(name[i], std::memory_order_relaxed);
}

// A signal handler: nothing but stores and system calls.
void on_call(int, siginfo_t* info, void* context) {
  const int call = info->si_syscall;
  if (!is_refused(call)) {
    note(notes_->forbidden, call);
    ::syscall(SYS_exit_group, static_cast<int>(WorkerExit::forbidden));
  }
  note(notes_->last, call);
  notes_->refused.fetch_add(1);
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RAX] = -EACCES;
}

// A crash for want of memory looks like any other: so it is tried whether there is any.
void note_memory() {
  constexpr std::size_t kProbe = 8 << 20;
  const long got = ::syscall(SYS_mmap, nullptr, kProbe, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (got == -1 && errno == ENOMEM) notes_->no_memory.store(1);
}

void on_abort(int) {
  note_memory();
  ::syscall(SYS_exit_group, static_cast<int>(WorkerExit::aborted));
}

// Once: the instruction that failed fails again, and the kernel ends the process.
void on_fault(int) { note_memory(); }

Status handle(int signal, struct sigaction action) {
  ::sigemptyset(&action.sa_mask);
  if (::sigaction(signal, &action, nullptr) != 0) return fail(errno_error("watch signals", errno, Code::unavailable));
  return {};
}

// ---- the filter --------------------------------------------------------------------

struct Release {
  void operator()(void* filter) const { ::seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, Release>;

template <class... Conditions>
int rule(const Filter& filter, std::uint32_t action, int call, Conditions... conditions) {
  const std::array<scmp_arg_cmp, sizeof...(conditions)> list{conditions...};
  return ::seccomp_rule_add_array(filter.get(), action, call, list.size(), list.data());
}

template <class... Conditions>
int allow(const Filter& filter, int call, Conditions... conditions) {
  return rule(filter, SCMP_ACT_ALLOW, call, conditions...);
}

scmp_arg_cmp masked(unsigned argument, std::uint64_t mask, std::uint64_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}
scmp_arg_cmp is(unsigned argument, std::uint64_t value) { return {argument, SCMP_CMP_EQ, value, 0}; }

// Memory that is shared and nobody's, or grows down, would not count as the module's own.
// New code is mapped from the object alone, and never to be written, while it is loaded.
int add_memory(const Filter& filter, Stage stage) {
  constexpr std::uint64_t kKinds = MAP_ANONYMOUS | MAP_GROWSDOWN;
  int bad = allow(filter, SCMP_SYS(mmap), masked(2, PROT_EXEC, 0), masked(3, kKinds, 0));
  bad |= allow(filter, SCMP_SYS(mmap), masked(2, PROT_EXEC, 0), masked(3, kKinds | MAP_SHARED, MAP_ANONYMOUS));
  if (stage == Stage::loading)
    bad |= rule(filter, SCMP_ACT_NOTIFY, SCMP_SYS(mmap), masked(2, PROT_EXEC | PROT_WRITE, PROT_EXEC),
                masked(3, kKinds, 0));
  return bad | allow(filter, SCMP_SYS(mprotect), masked(2, PROT_EXEC, 0));
}

// A thread, never a process. clone3 hides its flags in memory: the C library does without it.
int add_threads(const Filter& filter) {
  constexpr std::uint64_t kThread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
  constexpr std::uint64_t kNew = 0x7e020000;  // CLONE_NEW*
  int bad = allow(filter, SCMP_SYS(clone), masked(0, kThread | kNew, kThread));
  bad |= ::seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  bad |= allow(filter, SCMP_SYS(tgkill), is(0, static_cast<std::uint64_t>(::getpid())));
  // The signal by which refusals are told stays the worker's. One by one: the kernel reads half of what a filter
  // compares.
  for (int signal = 1; signal <= 64; ++signal)
    if (signal != SIGSYS) bad |= allow(filter, SCMP_SYS(rt_sigaction), is(0, static_cast<std::uint64_t>(signal)));
  return bad;
}

int add_descriptors(const Filter& filter) {
  int bad = 0;
  for (const int command : {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, 1034 /* F_GET_SEALS */})
    bad |= allow(filter, SCMP_SYS(fcntl), is(1, static_cast<std::uint64_t>(command)));
  for (const int level : {SOL_SOCKET, 6 /* TCP */})
    bad |= allow(filter, SCMP_SYS(setsockopt), is(1, static_cast<std::uint64_t>(level)));
  bad |= allow(filter, SCMP_SYS(socketpair), is(0, AF_UNIX));
  bad |= allow(filter, SCMP_SYS(ioctl), is(1, 0x5421 /* FIONBIO */));
  bad |= allow(filter, SCMP_SYS(ioctl), is(1, 0x541b /* FIONREAD */));
  // fstat(), as newer C libraries ask for it: of a descriptor. By a path there is nothing to find either.
  bad |= allow(filter, SCMP_SYS(newfstatat));
  for (const int option : {PR_SET_NAME, PR_GET_NAME})
    bad |= allow(filter, SCMP_SYS(prctl), is(0, static_cast<std::uint64_t>(option)));
  return bad | allow(filter, SCMP_SYS(prlimit64), is(0, 0), is(2, 0));  // asks, sets nothing
}

int add_rules(const Filter& filter, Stage stage) {
  int bad = 0;
  for (const int call : kAllowed) bad |= allow(filter, call);
  bad |= add_memory(filter, stage);
  bad |= add_threads(filter);
  bad |= add_descriptors(filter);
  if (stage == Stage::loaded) return bad;
  // The linker opens the object, to read; and this filter is followed by the stricter one, which a constructor
  // of the object can put off. So the host is asked about each of these, until it takes the module for loaded.
  bad |= rule(filter, SCMP_ACT_NOTIFY, SCMP_SYS(openat), masked(2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
  return bad | rule(filter, SCMP_ACT_NOTIFY, SCMP_SYS(seccomp));
}

}  // namespace

Status watch_signals(Notes& notes) {
  notes_ = &notes;
  for (std::size_t call = 0; call < names_.size(); ++call) {
    const std::unique_ptr<char, decltype(&std::free)> name(
        ::seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(call)), &std::free);
    if (name) std::strncpy(names_[call].data(), name.get(), names_[call].size() - 1);
  }
  struct sigaction on_forbidden{};
  on_forbidden.sa_sigaction = on_call;
  on_forbidden.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
  VMSEC_CHECK(handle(SIGSYS, on_forbidden));
  struct sigaction on_end{};
  on_end.sa_handler = on_abort;
  VMSEC_CHECK(handle(SIGABRT, on_end));
  struct sigaction on_crash{};
  on_crash.sa_handler = on_fault;
  on_crash.sa_flags = static_cast<int>(SA_RESETHAND);
  VMSEC_CHECK(handle(SIGSEGV, on_crash));
  return handle(SIGBUS, on_crash);
}

Result<Fd> filter_calls(Stage stage) {
  const Filter filter(::seccomp_init(SCMP_ACT_TRAP));
  if (!filter) return fail(Code::unavailable, "seccomp: make a filter");
  // What is called the 32-bit way is not looked at by name: it ends the process.
  int bad = ::seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  bad |= ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  bad |= ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_NNP, 0);  // it was given up before
  // Threads that the object's initialisers have begun, too.
  if (stage == Stage::loaded) bad |= ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);
  bad |= add_rules(filter, stage);
  if (bad != 0) return fail(Code::unavailable, "seccomp: a rule cannot be made");
  if (const int error = ::seccomp_load(filter.get()); error != 0)
    return fail(errno_error("seccomp: load the filter", -error, Code::unavailable));
  if (stage == Stage::loaded) return Fd();
  Fd listener(::seccomp_notify_fd(filter.get()));
  if (!listener.valid()) return fail(Code::unavailable, "seccomp: the filter has no listener");
  return listener;
}

}  // namespace vmsec::worker
