// What a module says of itself: TOML in its ELF section .vmsec.manifest.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vmsec/export.hpp"
#include "vmsec/result.hpp"

namespace vmsec::loader {

struct Manifest {
  std::string name;
  std::string version;
  std::string summary;
  std::string section;                // of the policy; empty: none
  std::vector<std::string> provides;  // interfaces that others may call
  std::vector<std::string> needs;     // capabilities and services of the host
  std::vector<std::string> asks;      // interfaces of other modules
  std::vector<std::string> waits;     // settings that bound how long a call of it waits: "switch_timeout = 60 s"
  bool in_process = false;            // it opens files and devices: no process of its own can run it
};

// Unknown keys, wrong types and absent names are errors with line and column.
VMSEC_EXPORT Result<Manifest> parse_manifest(std::string_view text, const std::string& file);

}  // namespace vmsec::loader
