// A software TPM 2.0 for one test, in a folder of its own.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "evidence/digest.hpp"

namespace vmsec::boot::test {

// Removes its folder when it goes.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  std::string file(const std::string& name, std::string_view content) const;

 private:
  std::filesystem::path path_;
};

bool has_program(const std::string& name);
// Runs it by the shell, output discarded; its exit code.
int run(const std::string& command);

class Swtpm {
 public:
  // Whether this machine has one; warns loudly when it has not.
  static bool available();

  Swtpm();  // started up, PCRs as after a reset
  ~Swtpm();
  Swtpm(const Swtpm&) = delete;
  Swtpm& operator=(const Swtpm&) = delete;

  [[nodiscard]] std::string tcti() const;
  void reset();        // power off and on: PCRs empty, same seeds
  void manufacture();  // another TPM in the place of this one
  // What a manufacturer leaves in NV memory.
  void write_nv(std::uint32_t index, std::string_view content);
  void stop();
  void start();
  void extend(std::uint32_t pcr, std::string_view digest, Hash bank = Hash::sha256);
  // Every digest of that bank of the log, in order.
  void boot(std::string_view log, Hash bank = Hash::sha256);
  // The folder of the TPM's state, while it is stopped.
  [[nodiscard]] std::filesystem::path state() const { return folder_.path() / "state"; }

 private:
  TempFolder folder_;
  pid_t pid_ = -1;
};

}  // namespace vmsec::boot::test
