#include "clocks.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>

#include "vmsec/fd.hpp"

extern char** environ;

namespace vmsec::bench {
namespace {

double read_clock(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

int spawn(pid_t& child, const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));  // NOLINT: POSIX' own signature
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  for (const int fd : {1, 2}) ::posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
  const int error = ::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  return error;
}

}  // namespace

Result<Cost> cost_of(unsigned times, const std::function<Status()>& work) {
  const double began = read_clock(CLOCK_MONOTONIC);
  const double cpu = read_clock(CLOCK_THREAD_CPUTIME_ID);
  for (unsigned i = 0; i < times; ++i) VMSEC_CHECK(work());
  return Cost{(read_clock(CLOCK_MONOTONIC) - began) / times, (read_clock(CLOCK_THREAD_CPUTIME_ID) - cpu) / times};
}

Result<Cost> cost_of_program(const std::vector<std::string>& words) {
  const double began = read_clock(CLOCK_MONOTONIC);
  pid_t child = -1;
  if (const int error = spawn(child, words); error != 0) return fail(errno_error("start " + words[0], error));
  int status = 0;
  rusage used{};
  while (::wait4(child, &status, 0, &used) < 0)
    if (errno != EINTR) return fail(errno_error("wait for " + words[0]));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return fail(Code::internal, words[0] + " did not succeed");
  return Cost{read_clock(CLOCK_MONOTONIC) - began, seconds(used.ru_utime) + seconds(used.ru_stime)};
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace vmsec::bench
