// What this machine has of what vmsec uses. Each probe tries the thing itself.
#pragma once

#include <string>
#include <vector>

namespace vmsec::cli {

struct Probe {
  std::string name;  // "KVM"
  bool present = false;
  std::string detail;   // what was found, or what is missing
  std::string package;  // the Debian package to install; empty: none helps
};

struct Diagnosis {
  std::vector<Probe> probes;
  std::vector<std::string> backends;  // plugins that can work here
};

// `agent`: the socket where an agent should listen.
Diagnosis examine_machine(const std::string& agent);

}  // namespace vmsec::cli
