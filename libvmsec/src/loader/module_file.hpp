// A module's file, and its one instance wherever it runs.
#pragma once

#include <memory>
#include <string>

#include "loader/inspect.hpp"
#include "loader/sealed_file.hpp"
#include "loader/shared_object.hpp"
#include "vmsec/abi.h"
#include "vmsec/export.hpp"
#include "vmsec/settings.hpp"
#include "vmsec/wire.hpp"

namespace vmsec::loader {

// A module's bytes and what they say of it. Nothing of it is mapped or has run.
class VMSEC_EXPORT ModuleFile {
 public:
  // Copies, verifies and inspects. The errors are those of SealedFile::copy(),
  // Trust::verify() and Trust::check_version(), and the first of inspect()'s refusals.
  static Result<ModuleFile> open(const std::string& file, const Trust& trust);
  // Of bytes that another process verified (vmsec-worker): only inspects.
  static Result<ModuleFile> adopt(SealedFile sealed);

  [[nodiscard]] const Manifest& manifest() const { return found_.manifest; }
  [[nodiscard]] const std::string& manifest_text() const { return found_.manifest_text; }
  [[nodiscard]] const std::vector<std::string>& needed() const { return found_.needed; }  // libraries that it links
  [[nodiscard]] std::uint32_t abi_minor() const { return found_.abi_minor; }
  [[nodiscard]] const std::string& file() const { return sealed_.file(); }
  [[nodiscard]] const std::string& digest() const { return sealed_.digest(); }
  // Who vouches for it; nobody where it was adopted.
  [[nodiscard]] const Signers& signers() const { return signers_; }
  [[nodiscard]] const SealedFile& sealed() const { return sealed_; }

 private:
  ModuleFile(SealedFile sealed, Inspection found) : sealed_(std::move(sealed)), found_(std::move(found)) {}

  SealedFile sealed_;
  Inspection found_;
  Signers signers_;
};

// How an instance does.
struct InstanceState {
  std::string carrier = "in-process";  // or "worker"
  std::string state = "running";       // or "waiting to start again"
  std::uint32_t restarts = 0;
  std::string last_end = {};  // why its process ended the last time; empty: it never did
  Microseconds restart_in{};  // while it waits: until the next attempt
};

// The one instance of a module, in this process or in one of its own: callers
// never learn which.
class VMSEC_EXPORT ModuleInstance {
 public:
  virtual ~ModuleInstance() = default;
  [[nodiscard]] virtual InstanceState state() const { return {}; }
  // Ends its process, if it runs, and begins it again now. `wrong_state`: it has none of its own.
  virtual Status restart(const std::string& why);
  // Any thread.
  virtual Result<Packet> call(std::string_view interface, std::uint32_t method, Packet request) = 0;
};

// Maps the file into this process and makes its instance: from here on its code
// runs. `host` is copied by the module, and what it points to outlives the instance;
// the instance keeps the code. `unavailable` where the dynamic linker refuses it,
// `unsupported` where its entry is not what the file said, and what create() answers.
VMSEC_EXPORT Result<std::unique_ptr<ModuleInstance>> start_in_process(const ModuleFile& file, const vmsec_host& host,
                                                                      const Settings& settings);

}  // namespace vmsec::loader
