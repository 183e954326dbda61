#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "qemu_process.hpp"

using namespace vmsec;
using namespace vmsec::kvm;

namespace {

const Uuid kUuid = *Uuid::parse("5f08b624-2dcb-4ea5-8f7b-75a8a056f9d6");

// A process with QEMU's arguments that waits, and libvirt's file of its number.
struct Process {
  std::filesystem::path run_dir = std::filesystem::temp_directory_path() / ("vmsec-qemu-" + std::to_string(getpid()));
  pid_t pid = 0;

  Process() {
    std::filesystem::create_directories(run_dir);
    pid = fork();
    if (pid == 0) {
      execl("/bin/sh", "sh", "-c", "read line", "-uuid", kUuid.text().c_str(), nullptr);
      _exit(127);
    }
    std::ofstream(run_dir / "web-1.pid") << pid;
  }
  ~Process() {
    if (pid > 0) kill(pid, SIGKILL), waitpid(pid, nullptr, 0);
    std::filesystem::remove_all(run_dir);
  }
  // Once it is that program, and no copy of this one.
  [[nodiscard]] Result<QemuProcess> find() const {
    for (;;) {
      auto found = find_qemu(run_dir.string(), "web-1", kUuid);
      if (found || found.error().message.find("is not QEMU of") == std::string::npos) return found;
      usleep(1000);
    }
  }
  int reap() {
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    pid = 0;
    return status;
  }
};

}  // namespace

TEST_CASE("QEMU's process is stopped and ended by what names it, not by a number that others may have later") {
  int input[2];
  REQUIRE(pipe(input) == 0);
  const int kept = dup(0);
  dup2(input[0], 0);
  Process process;
  dup2(kept, 0);
  const auto found = process.find();
  REQUIRE(found);
  CHECK(found->pid == process.pid);
  REQUIRE(signal_qemu(*found, ProcessSignal::stop));
  int stopped = 0;
  REQUIRE(waitpid(process.pid, &stopped, WUNTRACED) == process.pid);
  CHECK(WIFSTOPPED(stopped));
  REQUIRE(signal_qemu(*found, ProcessSignal::go_on));
  REQUIRE(waitpid(process.pid, &stopped, WCONTINUED) == process.pid);
  CHECK(WIFCONTINUED(stopped));
  REQUIRE(signal_qemu(*found, ProcessSignal::stop));
  REQUIRE(signal_qemu(*found, ProcessSignal::kill));
  const int status = process.reap();
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGKILL);
  CHECK_FALSE(signal_qemu(*found, ProcessSignal::kill));  // it is gone
  for (const int fd : {input[0], input[1], kept}) close(fd);
}

TEST_CASE("a process that was not found is not ended") {
  const auto killed = signal_qemu(QemuProcess{}, ProcessSignal::kill);
  REQUIRE_FALSE(killed);
  CHECK(killed.error().code == Code::unsupported);
}
