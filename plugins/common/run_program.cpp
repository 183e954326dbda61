#include "run_program.hpp"

#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <csignal>

#include "vmsec/fd.hpp"

namespace vmsec::common {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kDeadline = std::chrono::seconds(10);
constexpr std::size_t kMaximumOutput = 1 << 20;

struct Pipe {
  Fd read;
  Fd write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail(errno_error("make a pipe"));
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

// PATH is the caller's; what changes the host's network is not looked up there.
Result<std::string> find_program(const std::string& name) {
  for (const char* folder : {"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"}) {
    std::string path = folder + name;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return fail(Code::unsupported, "run " + name + ": it is not installed (Debian: iproute2)");
}

class SpawnActions {
 public:
  SpawnActions() { posix_spawn_file_actions_init(&actions_); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&actions_); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

class SpawnAttributes {
 public:
  SpawnAttributes() {
    posix_spawnattr_init(&attributes_);
    // Not the caller's blocked signals, nor our own way with SIGPIPE.
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    sigaddset(&signals, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnAttributes() { posix_spawnattr_destroy(&attributes_); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  posix_spawnattr_t* get() { return &attributes_; }

 private:
  posix_spawnattr_t attributes_{};
};

Result<pid_t> spawn(const std::string& path, const std::vector<std::string>& arguments, const Pipe& out,
                    const Pipe& err) {
  std::vector<char*> argv;
  for (const auto& each : arguments) argv.push_back(const_cast<char*>(each.c_str()));
  argv.push_back(nullptr);
  char path_variable[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  char locale[] = "LC_ALL=C";
  char* const environment[] = {path_variable, locale, nullptr};
  SpawnActions actions;
  posix_spawn_file_actions_addopen(actions.get(), 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(actions.get(), out.write.get(), 1);
  posix_spawn_file_actions_adddup2(actions.get(), err.write.get(), 2);
  SpawnAttributes attributes;
  pid_t pid = 0;
  const int error = posix_spawn(&pid, path.c_str(), actions.get(), attributes.get(), argv.data(), environment);
  if (error != 0) return fail(errno_error("run " + path, error));
  return pid;
}

// Reads what there is. false at the end of the stream.
bool drain(const Fd& from, std::string& into) {
  std::array<char, 16384> buffer;
  const ssize_t count = read(from.get(), buffer.data(), buffer.size());
  if (count > 0) into.append(buffer.data(), static_cast<std::size_t>(count));
  return count > 0 || (count < 0 && errno == EINTR);
}

Status collect(const Fd& out, const Fd& err, ProgramOutput& output, Clock::time_point deadline) {
  std::array<pollfd, 2> ends{pollfd{out.get(), POLLIN, 0}, pollfd{err.get(), POLLIN, 0}};
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return fail(Code::timeout, "no answer in 10 seconds");
    if (poll(ends.data(), ends.size(), static_cast<int>(left)) < 0 && errno != EINTR) return fail(errno_error("poll"));
    if (ends[0].fd >= 0 && ends[0].revents != 0 && !drain(out, output.out)) ends[0].fd = -1;
    if (ends[1].fd >= 0 && ends[1].revents != 0 && !drain(err, output.err)) ends[1].fd = -1;
    if (output.out.size() + output.err.size() > kMaximumOutput)
      return fail(Code::limit_exceeded, "more than 1 MiB of output");
  }
  return {};
}

}  // namespace

Result<ProgramOutput> run_program(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return fail(Code::invalid_argument, "run a program: no name");
  VMSEC_TRY(const std::string path, find_program(arguments.front()));
  VMSEC_TRY(Pipe out, make_pipe());
  VMSEC_TRY(Pipe err, make_pipe());
  const auto deadline = Clock::now() + kDeadline;
  VMSEC_TRY(const pid_t pid, spawn(path, arguments, out, err));
  out.write.reset();
  err.write.reset();
  ProgramOutput output;
  const Status collected = collect(out.read, err.read, output, deadline);
  if (!collected) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return fail(errno_error("wait for " + path));
  }
  if (!collected) return fail(collected.error().in("run " + path));
  output.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return output;
}

}  // namespace vmsec::common
