// Reads what `tc -json` and `ip -json` print.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmsec/result.hpp"

namespace vmsec::common {

struct Qdisc {
  std::string kind;  // "tbf", "ingress", "noqueue"
  std::string handle;
  bool root = false;
  std::uint64_t rate = 0;  // of a tbf, in bytes/s
};

// `tc -json qdisc show dev X`
Result<std::vector<Qdisc>> parse_qdiscs(std::string_view json);
// `tc -json filter show dev X parent ffff:`: where a mirred action redirects to.
Result<std::vector<std::string>> parse_redirects(std::string_view json);
// `ip -json link show type ifb`
Result<std::vector<std::string>> parse_links(std::string_view json);

// What the kernel takes as an interface's name, less what a tool could take for
// an option or a pattern: 1 to 15 of letters, digits, '.', '_', '-', and no '-'
// or '.' at the start.
bool is_interface_name(std::string_view name);

}  // namespace vmsec::common
