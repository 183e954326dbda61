// The plugins and modules in folders, without a host.
#pragma once

#include <string>
#include <vector>

#include "vmsec/service/host_control.hpp"

namespace vmsec::cli {

// Loads each object to read its entry: so only folders that could hold what a host loads.
std::vector<PluginInfo> scan_plugins(const std::vector<std::string>& folders);

struct FoundModule {
  ModuleInfo info;
  std::string problem;  // why it does not load here; empty: it does
};
std::vector<FoundModule> scan_modules(const std::vector<std::string>& folders);

// Beside the library that this program uses: <lib>/vmsec/<kind>; in a build tree beside the program.
std::string installed_folder(const std::string& kind);

}  // namespace vmsec::cli
