// What to look for: settings of the host's configuration, or of one call.
#pragma once

#include <map>
#include <string>
#include <vmsec/section.hpp>

namespace memory_scanner {

struct Wanted {
  std::map<std::string, std::string> patterns;  // a name and its bytes
  std::uint32_t hits = 16;                      // of all patterns together; then the scan ends
};

constexpr std::size_t kLongest = 256;
constexpr std::size_t kMostPatterns = 32;
constexpr std::uint32_t kMostHits = 1000;

// "de ad be ef" and "deadbeef". It begins and ends with other bytes than zero: what a
// guest never wrote is zeros, and is passed over.
inline vmsec::Result<std::string> bytes_of_hex(std::string_view text) {
  const auto bad = [](std::string cause) { return vmsec::fail(vmsec::Code::invalid_argument, std::move(cause)); };
  std::string digits;
  for (const char c : text)
    if (c != ' ') digits += c;
  if (digits.empty() || digits.size() % 2 != 0) return bad("want pairs of hexadecimal digits");
  if (digits.size() / 2 > kLongest) return bad("longer than " + std::to_string(kLongest) + " bytes");
  std::string bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    unsigned byte = 0;
    const auto [end, error] = std::from_chars(digits.data() + i, digits.data() + i + 2, byte, 16);
    if (error != std::errc() || end != digits.data() + i + 2) return bad("want pairs of hexadecimal digits");
    bytes += static_cast<char>(byte);
  }
  if (bytes.front() == '\0' || bytes.back() == '\0') return bad("it begins or ends with 00: leave that out");
  return bytes;
}

// Adds to what is wanted already, or stands before it.
inline vmsec::Status read_wanted(const vmsec::Settings& settings, Wanted& wanted) {
  using namespace vmsec;
  return no_findings(read_section(settings, [&](const Setting& setting, const SettingPath& path) -> Status {
    if (path == SettingPath{"hits"}) {
      VMSEC_TRY(wanted.hits, integer_of(setting, 1, kMostHits));
      return {};
    }
    if (path.size() != 2 || path[0] != "pattern" || path[1].empty()) return unknown_key("hits or pattern.<name>");
    VMSEC_TRY(const std::string_view text, text_of(setting, "a text of hexadecimal digits"));
    VMSEC_TRY(wanted.patterns[path[1]], bytes_of_hex(text));
    if (wanted.patterns.size() > kMostPatterns)
      return fail(Code::limit_exceeded, "more than " + std::to_string(kMostPatterns) + " patterns");
    return {};
  }));
}

}  // namespace memory_scanner
