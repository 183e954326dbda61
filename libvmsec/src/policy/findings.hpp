// Collects what is wrong with a file, and where.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "vmsec/policy.hpp"
#include "vmsec/settings.hpp"

namespace vmsec::policy {

struct Place {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

class Sink {
 public:
  // Beyond the limit findings are dropped: a file that is garbage would bury
  // its reader, and the first hundred say enough.
  void add(Place place, std::string message) {
    if (findings_.findings.size() < PolicyLimits::kFindings)
      findings_.findings.push_back({place.line, place.column, std::move(message)});
  }
  [[nodiscard]] bool clean() const { return findings_.findings.empty(); }
  // In the order of the file.
  [[nodiscard]] Findings take();

 private:
  Findings findings_;
};

// The text without control characters and without invalid UTF-8, for a message.
std::string printable(std::string_view text);

}  // namespace vmsec::policy
