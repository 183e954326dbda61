// A software TPM of our own, for a host that has none (setting tpm = "swtpm").
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "vmsec/result.hpp"

namespace vmsec::sim {

// Runs as long as this object, and never longer than this process. Its state
// stays in `state_dir`: a restarted host has the same TPM.
class SwTpm {
 public:
  // `unsupported` where swtpm is not installed.
  static Result<std::unique_ptr<SwTpm>> start(const std::string& run_dir, const std::string& state_dir);
  ~SwTpm();
  SwTpm(const SwTpm&) = delete;
  SwTpm& operator=(const SwTpm&) = delete;

  [[nodiscard]] std::string tcti() const { return "swtpm:path=" + socket_; }

 private:
  SwTpm(std::string socket, int process, std::thread watcher)
      : socket_(std::move(socket)), process_(process), watcher_(std::move(watcher)) {}

  std::string socket_;
  int process_;
  // The kernel ends the TPM with the thread that made it, so that thread stays.
  std::thread watcher_;
};

}  // namespace vmsec::sim
