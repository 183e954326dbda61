#include "scan.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "vmsec/abi.h"
#include "vmsec/backend.hpp"
#include "vmsec/control.hpp"
#include "vmsec/object.hpp"
#include "vmsec/policy.hpp"

namespace vmsec::cli {
namespace {

namespace fs = std::filesystem;

struct Unload {
  void operator()(void* object) const { ::dlclose(object); }
};
using Object = std::unique_ptr<void, Unload>;

std::vector<fs::path> objects_in(const std::vector<std::string>& folders) {
  std::vector<fs::path> found;
  for (const auto& folder : folders) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error))
      if (entry.path().extension() == ".so") found.push_back(entry.path());
  }
  std::ranges::sort(found);
  return found;
}

Object load(const fs::path& file, std::string& problem) {
  if (const auto whole = check_object(file); !whole) {
    problem = whole.error().message;
    return nullptr;
  }
  Object object(::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL));
  if (!object) {
    const char* cause = ::dlerror();
    problem = cause != nullptr ? cause : "it does not load";
  }
  return object;
}

std::vector<std::string> list_in(const Setting& setting) {
  return setting.type == SettingType::list ? setting.list : std::vector<std::string>{};
}

void read_manifest(std::string_view manifest, FoundModule& found) {
  const auto settings = parse_settings(manifest, found.info.file);
  if (!settings) {
    found.problem = settings.error().message;
    return;
  }
  for (const auto& setting : settings->settings) {
    if (setting.path == "name") found.info.name = setting.text;
    if (setting.path == "version") found.info.version = setting.text;
    if (setting.path == "summary") found.info.summary = setting.text;
    if (setting.path == "section") found.info.section = setting.text;
    if (setting.path == "provides") found.info.provides = list_in(setting);
    if (setting.path == "needs") found.info.needs = list_in(setting);
    if (setting.path == "asks") found.info.asks = list_in(setting);
  }
}

}  // namespace

std::vector<PluginInfo> scan_plugins(const std::vector<std::string>& folders) {
  std::vector<PluginInfo> plugins;
  for (const auto& file : objects_in(folders)) {
    PluginInfo plugin{file.stem(), {}, file, {}};
    if (const Object object = load(file, plugin.problem)) {
      const auto* entry = static_cast<const PluginEntry*>(::dlsym(object.get(), "vmsec_plugin_entry"));
      if (entry == nullptr)
        plugin.problem = "it has no symbol vmsec_plugin_entry";
      else if (entry->abi != kPluginAbi || entry->size != sizeof(PluginEntry))
        plugin.problem = "it was built for another plugin ABI";
      else
        plugin.summary = entry->summary;
    }
    plugins.push_back(std::move(plugin));
  }
  return plugins;
}

std::vector<FoundModule> scan_modules(const std::vector<std::string>& folders) {
  std::vector<FoundModule> modules;
  for (const auto& file : objects_in(folders)) {
    FoundModule found;
    found.info.name = file.stem();
    found.info.file = file;
    if (const Object object = load(file, found.problem)) {
      const auto* entry = static_cast<const vmsec_module*>(::dlsym(object.get(), "vmsec_module_entry"));
      if (entry == nullptr)
        found.problem = "it has no symbol vmsec_module_entry";
      else if (entry->abi_major != VMSEC_ABI_MAJOR || entry->abi_minor > VMSEC_ABI_MINOR || entry->manifest == nullptr)
        found.problem = "it was built for another module ABI";
      else
        read_manifest({entry->manifest, entry->manifest_size}, found);
    }
    modules.push_back(std::move(found));
  }
  return modules;
}

std::string installed_folder(const std::string& kind) {
  std::error_code ignored;
  Dl_info library{};
  if (::dladdr(reinterpret_cast<const void*>(&connect_agent), &library) != 0 && library.dli_fname != nullptr) {
    const fs::path folder = fs::canonical(library.dli_fname, ignored).parent_path() / "vmsec" / kind;
    if (fs::is_directory(folder, ignored)) return folder;
  }
  // A build tree: bin and lib are neighbours.
  return (fs::canonical("/proc/self/exe", ignored).parent_path().parent_path() / "lib/vmsec" / kind).string();
}

}  // namespace vmsec::cli
