// The modules that are loaded, and who provides which interface.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "host/module_link.hpp"
#include "loader/module_file.hpp"
#include "vmsec/export.hpp"
#include "vmsec/service/host_control.hpp"

namespace vmsec::host {

// Destroyed from the bottom up: the instance with its code first, then what it calls.
struct LoadedModule {
  loader::ModuleFile file;
  std::unique_ptr<ModuleLink> link;
  std::unique_ptr<loader::ModuleInstance> instance;
  std::string carrier = "in-process";  // ModuleInfo::carrier
  [[nodiscard]] const loader::Manifest& manifest() const { return file.manifest(); }
};

// Any thread calls, also while modules are still added or already ended: those that
// run have threads of their own. find() and modules() are for between the two.
class VMSEC_EXPORT Registry {
 public:
  void add(std::unique_ptr<LoadedModule> module);
  // Ends the modules, the last one first. One that is just called ends after that call.
  void clear();
  // "vmsec.Migrator", or "throttle:vmsec.Enforcement". `not_found`; `invalid_argument`
  // where several modules provide the plain name.
  Result<Packet> call(std::string_view interface, std::uint32_t method, Packet request);
  // The name of the module that would be called. Errors as call()'s.
  Result<std::string> provider_of(std::string_view interface) const;
  [[nodiscard]] LoadedModule* find(std::string_view name) const;
  // As find(), and holds it while it is used.
  [[nodiscard]] std::shared_ptr<LoadedModule> hold(std::string_view name) const;
  [[nodiscard]] const std::vector<std::shared_ptr<LoadedModule>>& modules() const { return modules_; }

 private:
  Result<std::shared_ptr<LoadedModule>> provider(std::string_view interface) const;

  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<LoadedModule>> modules_;
};

// What it says of itself, who signed it, and how its instance does.
VMSEC_EXPORT ModuleInfo describe(const LoadedModule& module);

}  // namespace vmsec::host
