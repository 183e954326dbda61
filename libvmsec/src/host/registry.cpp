#include "host/registry.hpp"

#include <algorithm>

namespace vmsec::host {
namespace {

std::string_view plain_name(std::string_view qualified) { return qualified.substr(qualified.find(':') + 1); }

}  // namespace

void Registry::add(std::unique_ptr<LoadedModule> module) {
  const std::lock_guard lock(mutex_);
  modules_.push_back(std::move(module));
}

void Registry::clear() {
  while (true) {
    std::shared_ptr<LoadedModule> last;  // ends outside the lock: it may be calling
    const std::lock_guard lock(mutex_);
    if (modules_.empty()) return;
    last = std::move(modules_.back());
    modules_.pop_back();
  }
}

LoadedModule* Registry::find(std::string_view name) const {
  for (const auto& module : modules_)
    if (module->manifest().name == name) return module.get();
  return nullptr;
}

std::shared_ptr<LoadedModule> Registry::hold(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  for (const auto& module : modules_)
    if (module->manifest().name == name) return module;
  return nullptr;
}

Result<std::shared_ptr<LoadedModule>> Registry::provider(std::string_view qualified) const {
  const auto colon = qualified.find(':');
  const std::string_view name = colon == std::string_view::npos ? std::string_view() : qualified.substr(0, colon);
  const std::string_view interface = plain_name(qualified);
  const std::lock_guard lock(mutex_);
  std::shared_ptr<LoadedModule> found;
  for (const auto& module : modules_) {
    const auto& provides = module->manifest().provides;
    if (std::find(provides.begin(), provides.end(), interface) == provides.end()) continue;
    if (!name.empty() && module->manifest().name != name) continue;
    if (found != nullptr)
      return fail(Code::invalid_argument, "several modules provide " + std::string(interface) + ": name one, as in \"" +
                                              module->manifest().name + ":" + std::string(interface) + "\"");
    found = module;
  }
  if (found != nullptr) return found;
  return fail(Code::not_found, (name.empty() ? "no loaded module" : "no module \"" + std::string(name) + "\" that") +
                                   " provides " + std::string(interface));
}

Result<Packet> Registry::call(std::string_view interface, std::uint32_t method, Packet request) {
  VMSEC_TRY(const std::shared_ptr<LoadedModule> module, provider(interface));
  return module->instance->call(plain_name(interface), method, std::move(request));
}

Result<std::string> Registry::provider_of(std::string_view interface) const {
  VMSEC_TRY(const std::shared_ptr<LoadedModule> module, provider(interface));
  return module->manifest().name;
}

ModuleInfo describe(const LoadedModule& module) {
  const auto& file = module.file;
  const auto& manifest = file.manifest();
  ModuleInfo info{manifest.name, manifest.version,          manifest.summary,  file.file(),
                  file.digest(), manifest.section,          manifest.provides, manifest.needs,
                  manifest.asks, to_string(file.signers()), module.carrier};
  if (!module.instance) return info;
  const loader::InstanceState state = module.instance->state();
  info.carrier = state.carrier;
  info.state = state.state;
  info.restarts = state.restarts;
  info.last_end = state.last_end;
  info.restart_in = state.restart_in;
  return info;
}

}  // namespace vmsec::host
