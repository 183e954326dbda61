// [backend.settings] and the URI, read strictly (README.md: "Settings").
#pragma once

#include <memory>
#include <string>

#include "faults.hpp"
#include "vmsec/backend.hpp"

namespace vmsec::sim {

enum class Autostart { no, yes };
enum class TpmKind { given, swtpm };

struct HostSettings {
  std::string name = "host";  // of "sim:NAME"
  std::string store;          // folder of records; empty: nothing outlives the process
  std::string disks;          // folder of the disks' files
  std::string domains;        // folder of domain files; empty: none
  Autostart autostart = Autostart::yes;
  std::string guests;  // folder of sockets, each a guest's port by its UUID; empty: none
  std::uint32_t cpus = 1;
  Bytes memory;
  TpmKind tpm = TpmKind::given;
};

Result<HostSettings> read_settings(const BackendOptions& options, Faults& faults);

}  // namespace vmsec::sim
