// A worker's process: begun in namespaces of its own, watched, ended.
#pragma once

#include <sys/resource.h>

#include <string>
#include <vector>

#include "vmsec/fd.hpp"

namespace vmsec::worker {

// How a process ended.
struct ProcessEnd {
  bool by_signal = false;
  int number = 0;                 // the signal, or the exit code
  std::uint64_t peak_memory = 0;  // bytes, resident
};

// What it takes, as far as this host may look.
struct ProcessUse {
  std::uint64_t cpu_ticks = 0;
  std::uint64_t threads = 0;
  std::uint64_t data = 0;  // bytes of memory of its own
  bool has_memory = true;  // none: it has ended, or its first thread has
};

// A value that moves. Its destructor kills the process and waits for its end. When the
// thread that began it ends, the process is killed: begin it where somebody watches it.
class Process {
 public:
  // Runs the program, without arguments or environment, with `control` as its
  // descriptor 3 and nothing else of ours, as the first process of new namespaces.
  // `unavailable`: the system does not let us have one of these, or the program.
  static Result<Process> begin(const std::string& program, const Fd& control);
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;
  ~Process();

  [[nodiscard]] int id() const { return id_; }
  [[nodiscard]] const Fd& watch() const { return fd_; }  // readable: it has ended
  void kill() const;
  // Its threads-to-be run on these CPUs alone; of them, those that are there. Before it has more than one thread.
  // `invalid_argument`: none of them is there.
  [[nodiscard]] Status pin(const std::vector<std::uint32_t>& cpus) const;
  ProcessEnd wait();  // once
  [[nodiscard]] ProcessUse use() const;
  [[nodiscard]] std::size_t descriptors() const;  // 0: not known

 private:
  Process(int id, Fd fd) : id_(id), fd_(std::move(fd)) {}
  int id_;
  Fd fd_;
  bool ended_ = false;
};

// The user that a worker of this process id becomes; 0: it has a user namespace instead.
std::uint32_t user_of(const Process& process);

}  // namespace vmsec::worker
