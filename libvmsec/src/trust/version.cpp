#include <algorithm>
#include <charconv>

#include "vmsec/trust.hpp"

namespace vmsec {
namespace {

constexpr std::size_t kMaximumParts = 8;

}  // namespace

Result<ModuleVersion> parse_version(std::string_view text) {
  const auto bad = [&](const char* cause) {
    return fail(Code::invalid_argument, "version \"" + std::string(text.substr(0, 64)) + "\": " + cause);
  };
  ModuleVersion version;
  std::string_view rest = text;
  while (true) {
    const auto part = rest.substr(0, rest.find('.'));
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (part.empty() || error != std::errc() || end != part.data() + part.size())
      return bad("want numbers with dots between them, as 1.4.2");
    if (part.size() > 1 && part.front() == '0') return bad("a leading zero");
    if (version.parts.size() == kMaximumParts) return bad("more than 8 parts");
    version.parts.push_back(number);
    if (part.size() == rest.size()) return version;
    rest.remove_prefix(part.size() + 1);
  }
}

bool is_older(const ModuleVersion& a, const ModuleVersion& b) {
  const auto part = [](const ModuleVersion& version, std::size_t i) {
    return i < version.parts.size() ? version.parts[i] : 0;
  };
  for (std::size_t i = 0; i < std::max(a.parts.size(), b.parts.size()); ++i)
    if (part(a, i) != part(b, i)) return part(a, i) < part(b, i);
  return false;
}

}  // namespace vmsec
