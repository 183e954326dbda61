#include "host/measure.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "loader/shared_object.hpp"
#include "vmsec/fd.hpp"

namespace vmsec::host {
namespace {

constexpr int kPatienceMs = 30'000;
constexpr std::size_t kMaximumText = 2000;

// The program sees no more of this process than the file for its words.
Result<pid_t> spawn(const std::string& program, const std::vector<std::string>& words, const Fd& text) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::string quiet = "TSS2_LOG=all+NONE";  // its own error says it all
  std::array<char*, 2> environment{quiet.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&actions, 0, 1);
  posix_spawn_file_actions_adddup2(&actions, text.get(), 2);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = -1;
  const int failed = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return fail(errno_error("run " + program, failed, Code::unavailable));
  return pid;
}

// Its exit status; it is ended where it takes too long.
Result<int> wait_for(pid_t pid) {
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  pollfd ended{process.get(), POLLIN, 0};
  int ready = 0;
  do ready = process.valid() ? ::poll(&ended, 1, kPatienceMs) : 0;
  while (ready < 0 && errno == EINTR);
  if (ready <= 0) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return fail(errno_error("wait for vmsec-measure"));
  if (ready <= 0) return fail(Code::timeout, "vmsec-measure has not ended within 30 s");
  return status;
}

std::string text_of(const Fd& file) {
  std::string text(kMaximumText, '\0');
  const ssize_t size = ::pread(file.get(), text.data(), text.size(), 0);
  text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

Status measure_object(const HostOptions& options, const std::string& kind, const std::string& name,
                      const std::string& digest) {
  if (!options.module_pcr) return {};
  const std::string what = "measure " + kind + " " + name + " into PCR " + std::to_string(*options.module_pcr);
  if (options.backend.tpm_tcti.empty())
    return fail(Code::invalid_argument, what + ": tpm.module_pcr is configured, and no tpm.tcti");
  const Fd text(::memfd_create("vmsec-measure", MFD_CLOEXEC));
  if (!text.valid()) return fail(errno_error(what));
  const std::string program = loader::installed_folder("vmsec-measure");
  const auto pid =
      spawn(program,
            {"vmsec-measure", "--tcti", options.backend.tpm_tcti, "--pcr", std::to_string(*options.module_pcr), "--log",
             options.backend.module_log, "--kind", kind, "--name", name, "--digest", digest},
            text);
  if (!pid) return fail(pid.error().in(what));
  const auto status = wait_for(*pid);
  if (!status) return fail(status.error().in(what));
  if (WIFEXITED(*status) && WEXITSTATUS(*status) == 0) return {};
  return fail(Code::io, what + ": " + text_of(text));
}

}  // namespace vmsec::host
