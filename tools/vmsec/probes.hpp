// What this machine has of what vmsec uses. Each probe tries the thing itself.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vmsec::cli {

// attention: it works, and somebody should look at it.
enum class Standing { ok, attention, missing };
std::string_view to_string(Standing standing);

struct Probe {
  std::string area;  // "machine", "sandbox", "trust"
  std::string name;  // "KVM"
  Standing standing = Standing::missing;
  std::string detail;   // what was found, or what is missing
  std::string package;  // the Debian package to install; empty: none helps
  std::string next;     // what else to do about it; empty: nothing
  [[nodiscard]] bool present() const { return standing != Standing::missing; }
};

struct Diagnosis {
  std::vector<Probe> probes;
  std::vector<std::string> backends;  // plugins that can work here
};

// Where to look; a file or folders that are not given are the installed ones.
struct ProbePlaces {
  std::string agent;  // the socket where an agent should listen
  std::string trust;  // the operator's store
  std::vector<std::string> plugins;
  std::vector<std::string> modules;
};

Diagnosis examine_machine(const ProbePlaces& places);

// The parts of the sandbox that a module runs in, each tried by this user.
std::vector<Probe> examine_sandbox();
// The trust stores, their keys' standing, and what would not load here, with the cause.
std::vector<Probe> examine_trust(const ProbePlaces& places);

}  // namespace vmsec::cli
