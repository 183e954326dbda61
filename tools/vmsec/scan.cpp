#include "scan.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "vmsec/control.hpp"

namespace vmsec::cli {
namespace {

namespace fs = std::filesystem;

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

}  // namespace

std::vector<PluginInfo> scan_plugins(const std::vector<std::string>& folders, const Trust& trust) {
  std::vector<PluginInfo> plugins;
  for (const auto& file : objects_in(folders)) {
    PluginInfo plugin{file.stem(), {}, file, {}};
    const auto summary = plugin_summary(file, trust);
    if (summary)
      plugin.summary = *summary;
    else
      plugin.problem = summary.error().message;
    plugins.push_back(std::move(plugin));
  }
  return plugins;
}

std::vector<FoundModule> scan_modules(const std::vector<std::string>& folders, const Trust& trust) {
  std::vector<FoundModule> modules;
  for (const auto& file : objects_in(folders)) {
    FoundModule found;
    found.info.name = file.stem();
    found.info.file = file;
    auto report = inspect_object(file, ObjectKind::module, trust);
    if (!report) {
      found.problem = report.error().message;
    } else {
      if (!report->name.empty()) found.info.name = report->name;
      found.info.version = report->version;
      found.info.summary = report->summary;
      found.info.section = report->section;
      found.info.provides = report->provides;
      found.info.needs = report->needs;
      found.info.asks = report->asks;
      found.info.digest = report->sha256;
      found.info.signer = report->signer;
      if (!report->refusals.empty()) found.problem = report->refusals.front().message;
    }
    modules.push_back(std::move(found));
  }
  return modules;
}

std::vector<RefusedObject> refused_objects(ObjectKind kind, const std::vector<std::string>& folders, const Trust& trust,
                                           std::size_t& good) {
  std::vector<RefusedObject> refused;
  for (const auto& file : objects_in(folders)) {
    const auto report = inspect_object(file, kind, trust);
    std::optional<Error> cause;
    if (!report) cause = report.error();
    if (report && !report->refusals.empty()) cause = report->refusals.front();
    // What it links may be missing here.
    if (!cause && kind == ObjectKind::plugin)
      if (const auto summary = plugin_summary(file, trust); !summary) cause = summary.error();
    if (cause)
      refused.push_back({file.stem(), *cause});
    else
      ++good;
  }
  return refused;
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
