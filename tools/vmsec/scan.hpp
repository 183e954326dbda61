// The plugins and modules in folders, without a host.
#pragma once

#include <string>
#include <vector>

#include "vmsec/service/host_control.hpp"
#include "vmsec/trust.hpp"

namespace vmsec::cli {

// What a plugin says of itself is in its code: only those that are trusted are loaded to read it.
std::vector<PluginInfo> scan_plugins(const std::vector<std::string>& folders, const Trust& trust);

struct FoundModule {
  ModuleInfo info;
  std::string problem;  // why it does not load here; empty: it does
};
// By their bytes: no code of theirs runs.
std::vector<FoundModule> scan_modules(const std::vector<std::string>& folders, const Trust& trust);

// Objects that a host would not load, and the first cause; how many it would. Nothing of a
// module runs; a plugin that is trusted is loaded.
struct RefusedObject {
  std::string name;
  Error error;
};
std::vector<RefusedObject> refused_objects(ObjectKind kind, const std::vector<std::string>& folders, const Trust& trust,
                                           std::size_t& good);

// Beside the library that this program uses: <lib>/vmsec/<kind>; in a build tree beside the program.
std::string installed_folder(const std::string& kind);

}  // namespace vmsec::cli
