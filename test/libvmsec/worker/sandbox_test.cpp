// Each part of the sandbox is taken away in turn, by a filter that a worker inherits: then
// the module does not load, and the cause is named. There is no weaker sandbox.
#include <seccomp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <thread>

#include "libvmsec/host/toys.hpp"
#include "sanitized.hpp"
#include "worker/worker_instance.hpp"

namespace vmsec::test {
namespace {

using namespace host;

struct Step {
  int call;
  const char* cause;
  bool root_only = false;
};

constexpr Step kSteps[] = {
    {SCMP_SYS(close_range), "its process could not begin"},
    {SCMP_SYS(mount), "empty root"},
    {SCMP_SYS(chroot), "empty root: make it the root"},
    {SCMP_SYS(setgroups), "leave all groups", true},
    {SCMP_SYS(setresuid), "become another user", true},
    {SCMP_SYS(capset), "drop capabilities"},
    {SCMP_SYS(landlock_create_ruleset), "Landlock: this kernel has none"},
    {SCMP_SYS(landlock_restrict_self), "Landlock: restrict the process"},
    {SCMP_SYS(prlimit64), "limit core dumps"},
    {SCMP_SYS(rt_sigaction), "watch signals"},
};

// What starting a worker answers in a process in which the call fails; "loaded" where it does.
std::string start_without(int call) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);  // whatever goes wrong here, it ends
    std::string told = "no filter";
    scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
    const bool filtered =
        ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0) == 0 && ::seccomp_load(filter) == 0;
    if (filtered) {
      Toys toys{{}};
      const auto file = loader::ModuleFile::open(Toys::file("toy"), good(Trust::read("")));
      ModuleLink link{file->manifest(), toys.capabilities, toys.grants, nullptr};
      const auto instance = worker::start_in_worker(*file, link.host(), {}, {});
      told = instance ? "loaded" : instance.error().message;
    }
    std::ignore = ::write(ends[1], told.data(), told.size());
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string told(4096, '\0');
  told.resize(static_cast<std::size_t>(std::max<ssize_t>(::read(ends[0], told.data(), told.size()), 0)));
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return told;
}

// Whether a process runs with this argument.
bool runs_with(const std::string& argument) {
  for (const auto& each : fs::directory_iterator("/proc")) {
    std::ifstream file(each.path() / "cmdline");
    const std::string line(std::istreambuf_iterator<char>(file), {});
    if (line.find(argument) != std::string::npos && line.starts_with("sleep")) return true;
  }
  return false;
}

template <class Condition>
bool comes(Condition&& condition) {
  for (int i = 0; i < 400; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
  }
  return false;
}

}  // namespace

TEST_CASE("a worker ends with its host also before its program has asked for that") {
  if (kSanitized || start_without(SCMP_SYS(acct)) != "loaded") {
    WARN("SKIPPED: no worker can be had here");
    return;
  }
  TempDir dir;
  const std::string program = dir.path() / "never_asks";
  const std::string mark = "7" + std::to_string(::getpid()) + ".25";
  spit(program, "#!/bin/sh\nexec sleep " + mark + "\n");
  fs::permissions(program, fs::perms::owner_all);
  const pid_t host = ::fork();
  if (host == 0) {
    Toys toys{{}};
    const auto file = loader::ModuleFile::open(Toys::file("toy"), good(Trust::read("")));
    ModuleLink link{file->manifest(), toys.capabilities, toys.grants, nullptr};
    worker::WorkerOptions options;
    options.program = program;
    std::ignore = worker::start_in_worker(*file, link.host(), {}, std::move(options));
    ::_exit(0);
  }
  CHECK(comes([&] { return runs_with(mark); }));
  ::kill(host, SIGKILL);
  ::waitpid(host, nullptr, 0);
  CHECK(comes([&] { return !runs_with(mark); }));
}

TEST_CASE("where a part of the sandbox cannot be had, the module does not load, and the part is named") {
  if (kSanitized || start_without(SCMP_SYS(acct)) != "loaded") {
    WARN("SKIPPED: no worker can be had here");
    return;
  }
  for (const Step& step : kSteps) {
    if (step.root_only && ::geteuid() != 0) continue;
    INFO(step.cause);
    CHECK_THAT(start_without(step.call), Catch::Contains(step.cause));
  }
}

}  // namespace vmsec::test
