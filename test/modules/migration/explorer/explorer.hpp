// Breadth first through all that can happen; then whether everything recovers.
#pragma once

#include <string>
#include <vector>

#include "model.hpp"

namespace vmsec::migration::explorer {

struct Report {
  std::size_t states = 0;
  std::size_t transitions = 0;
  std::size_t depth = 0;
  bool whole = true;      // all that is reachable was seen
  std::string violation;  // the first, by a shortest trace
  std::string trace;
  std::size_t stuck = 0;  // a whole copy somewhere, and recovery leads nowhere
  std::size_t open = 0;   // one host runs the guest, and a record stays in doubt for good
  [[nodiscard]] std::string text() const;
};

struct Limits {
  std::size_t states = 30'000'000;
  bool recovery = true;  // look at it, which takes the longer part
};

Report explore(const Rules& rules, const World& world, const Limits& limits = {});

}  // namespace vmsec::migration::explorer
