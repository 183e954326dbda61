// A module's file, and its one instance wherever it runs.
#pragma once

#include <memory>
#include <string>

#include "loader/manifest.hpp"
#include "loader/sealed_file.hpp"
#include "loader/shared_object.hpp"
#include "vmsec/abi.h"
#include "vmsec/export.hpp"
#include "vmsec/settings.hpp"
#include "vmsec/wire.hpp"

namespace vmsec::loader {

// The object and its manifest; no instance yet. The module's own code has not run,
// but for its object's initialisers.
class VMSEC_EXPORT ModuleFile {
 public:
  static Result<ModuleFile> open(const std::string& file);
  [[nodiscard]] const Manifest& manifest() const { return manifest_; }
  [[nodiscard]] const std::string& file() const { return sealed_.file(); }
  [[nodiscard]] const std::string& digest() const { return sealed_.digest(); }
  [[nodiscard]] const SealedFile& sealed() const { return sealed_; }
  [[nodiscard]] const vmsec_module& entry() const { return *entry_; }

 private:
  ModuleFile(SealedFile sealed, SharedObject object, const vmsec_module* entry, Manifest manifest)
      : sealed_(std::move(sealed)), object_(std::move(object)), entry_(entry), manifest_(std::move(manifest)) {}

  SealedFile sealed_;
  SharedObject object_;
  const vmsec_module* entry_;
  Manifest manifest_;
};

// The one instance of a module, in this process or in one of its own: callers
// never learn which. Destroyed before its file is unloaded.
class VMSEC_EXPORT ModuleInstance {
 public:
  virtual ~ModuleInstance() = default;
  // Any thread.
  virtual Result<Packet> call(std::string_view interface, std::uint32_t method, Packet request) = 0;
};

// `host` is copied by the module and outlives the instance; `entry` too.
VMSEC_EXPORT Result<std::unique_ptr<ModuleInstance>> start_in_process(const vmsec_module& entry, const vmsec_host& host,
                                                                      const Settings& settings);

}  // namespace vmsec::loader
