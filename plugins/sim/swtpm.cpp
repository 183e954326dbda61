#include "swtpm.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <future>
#include <vector>

#include "clock.hpp"
#include "vmsec/fd.hpp"

namespace vmsec::sim {
namespace {

constexpr auto kBootPatience = std::chrono::seconds(20);

Result<std::string> find_program() {
  for (const char* path : {"/usr/bin/swtpm", "/usr/local/bin/swtpm"})
    if (::access(path, X_OK) == 0) return std::string(path);
  return fail(Code::unsupported, "start the host's TPM: swtpm is not installed (Debian: apt-get install swtpm)");
}

bool accepts(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

// The child, between fork and exec: only calls that are safe there. (posix_spawn
// cannot ask for the parent's death to be the child's.)
[[noreturn]] void become(const std::vector<char*>& arguments, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execv(arguments.front(), arguments.data());
  ::_exit(127);
}

}  // namespace

Result<std::unique_ptr<SwTpm>> SwTpm::start(const std::string& run_dir, const std::string& state_dir) {
  VMSEC_TRY(const std::string program, find_program());
  if (run_dir.empty() || state_dir.empty())
    return fail(Code::invalid_argument, "start the host's TPM: it needs a run folder and a state folder");
  const std::string socket = run_dir + "/tpm.sock";
  const std::string control = socket + ".ctrl";
  if (control.size() >= sizeof(sockaddr_un{}.sun_path))
    return fail(Code::invalid_argument, "start the host's TPM: the path " + socket + " is too long for a socket");
  const std::string state = state_dir + "/tpm";
  if (::mkdir(state.c_str(), 0700) != 0 && errno != EEXIST) return fail(errno_error("make folder " + state));
  ::unlink(socket.c_str());
  ::unlink(control.c_str());

  std::vector<std::string> words = {program,
                                    "socket",
                                    "--tpm2",
                                    "--tpmstate",
                                    "dir=" + state,
                                    "--server",
                                    "type=unixio,path=" + socket + ",mode=0600",
                                    "--ctrl",
                                    "type=unixio,path=" + control + ",mode=0600",
                                    "--flags",
                                    "not-need-init,startup-clear"};
  std::promise<pid_t> started;
  std::future<pid_t> process = started.get_future();
  std::promise<void> ended;
  std::future<void> end = ended.get_future();
  std::thread watcher([words = std::move(words), started = std::move(started), ended = std::move(ended)]() mutable {
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child == 0) become(arguments, parent);
    started.set_value(child);
    // Leaves the zombie, so that its number stays its own until the destructor.
    siginfo_t info{};
    if (child > 0) ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
    ended.set_value();
  });
  const pid_t pid = process.get();
  if (pid < 0) {
    watcher.join();
    return fail(Code::io, "start the host's TPM: no process can be made");
  }
  std::unique_ptr<SwTpm> tpm(new SwTpm(socket, pid, std::move(watcher)));
  const auto until = Clock::now() + kBootPatience;
  while (!accepts(control)) {
    if (end.wait_for(std::chrono::milliseconds(5)) == std::future_status::ready)
      return fail(Code::unavailable, "start the host's TPM: swtpm ended at once");
    if (Clock::now() > until) return fail(Code::timeout, "start the host's TPM: swtpm does not answer");
  }
  return tpm;
}

SwTpm::~SwTpm() {
  ::kill(process_, SIGTERM);
  watcher_.join();
  ::waitpid(process_, nullptr, 0);
  ::unlink(socket_.c_str());
  ::unlink((socket_ + ".ctrl").c_str());
}

}  // namespace vmsec::sim
