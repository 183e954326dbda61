// A module's shared object, loaded through its one door (vmsec/abi.h).
#pragma once

#include <memory>
#include <string>

#include "loader/manifest.hpp"
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
  [[nodiscard]] const std::string& file() const { return object_.file(); }
  [[nodiscard]] const std::string& digest() const { return digest_; }
  [[nodiscard]] const vmsec_module& entry() const { return *entry_; }

 private:
  ModuleFile(SharedObject object, const vmsec_module* entry, Manifest manifest, std::string digest)
      : object_(std::move(object)), entry_(entry), manifest_(std::move(manifest)), digest_(std::move(digest)) {}

  SharedObject object_;
  const vmsec_module* entry_;
  Manifest manifest_;
  std::string digest_;
};

// The one instance of a module. Destroyed before its file is unloaded.
class VMSEC_EXPORT ModuleInstance {
 public:
  // `host` is copied by the module and outlives the instance.
  static Result<std::unique_ptr<ModuleInstance>> create(const vmsec_module& entry, const vmsec_host& host,
                                                        const Settings& settings);
  ~ModuleInstance();
  ModuleInstance(const ModuleInstance&) = delete;
  ModuleInstance& operator=(const ModuleInstance&) = delete;

  // Any thread.
  Result<Packet> call(std::string_view interface, std::uint32_t method, Packet request);

 private:
  ModuleInstance(const vmsec_module& entry, void* instance) : entry_(entry), instance_(instance) {}

  const vmsec_module& entry_;
  void* instance_;
};

}  // namespace vmsec::loader
