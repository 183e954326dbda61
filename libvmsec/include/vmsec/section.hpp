// Reading a module's section: a finding with its place for whatever is not understood.
//
//   Wanted wanted;
//   Findings findings = read_section(settings, [&](const Setting& s, const SettingPath& path) -> Status {
//     if (path == SettingPath{"cpu_weight"}) { VMSEC_TRY(wanted.weight, integer_of(s, 1, 10'000)); return {}; }
//     return unknown_key("cpu_weight, cpu_quota");
//   });
//
// Header-only: modules use it.
#pragma once

#include <charconv>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "vmsec/setting_path.hpp"
#include "vmsec/settings.hpp"
#include "vmsec/units.hpp"

namespace vmsec {

using SettingPath = std::vector<std::string>;

inline std::string_view to_string(SettingType type) {
  switch (type) {
    case SettingType::none:
      return "nothing";
    case SettingType::text:
      return "a text";
    case SettingType::integer:
      return "an integer";
    case SettingType::boolean:
      return "true or false";
    case SettingType::real:
      return "a number with a point";
    case SettingType::list:
      return "a list";
  }
  return "of an unknown type";
}

inline std::unexpected<Error> wrong_type(const Setting& setting, std::string_view want) {
  return fail(Code::invalid_argument, "it is " + std::string(to_string(setting.type)) + ": want " + std::string(want));
}

inline std::unexpected<Error> unknown_key(std::string_view known) {
  return fail(Code::invalid_argument, "unknown key: want " + std::string(known));
}

inline Result<std::string_view> text_of(const Setting& setting, std::string_view want) {
  if (setting.type != SettingType::text) return wrong_type(setting, want);
  return std::string_view(setting.text);
}

inline Result<std::uint32_t> integer_of(const Setting& setting, std::uint32_t least, std::uint32_t most) {
  const std::string want = "an integer of " + std::to_string(least) + " to " + std::to_string(most);
  if (setting.type != SettingType::integer) return wrong_type(setting, want);
  if (setting.integer < least || setting.integer > most)
    return fail(Code::invalid_argument, std::to_string(setting.integer) + " is out of range: want " + want);
  return static_cast<std::uint32_t>(setting.integer);
}

// A text of one of units.hpp's kinds. Zero is refused, since backends read it
// as "unlimited": that must be said in the word itself, which gives 0 here.
inline Result<std::uint64_t> limit_of(const Setting& setting, const units::Kind& kind) {
  VMSEC_TRY(const std::string_view text,
            text_of(setting, "a text with " + std::string(kind.want) + ", or \"unlimited\""));
  if (text == "unlimited") return 0;
  VMSEC_TRY(const std::uint64_t value, units::parse(kind, text));
  if (value == 0) return fail(Code::invalid_argument, "0 is no limit: want more, or \"unlimited\"");
  return value;
}

// Digits only, in range: the numbers in lists and in the names of tables.
inline std::optional<std::uint32_t> number_of(std::string_view digits, std::uint32_t most) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() || value > most)
    return std::nullopt;
  return value;
}

// Calls read(setting, path) for each setting; its error becomes a finding there.
template <class Read>
Findings read_section(const Settings& section, Read&& read) {
  Findings findings;
  std::set<std::string_view> seen;
  for (const Setting& setting : section.settings) {
    const auto add = [&](const std::string& message) {
      findings.findings.push_back({setting.line, setting.column, setting.path + ": " + message});
    };
    if (!seen.insert(setting.path).second) {
      add("it is set twice");
      continue;
    }
    auto path = setting_path::split(setting.path);
    if (!path) {
      add(path.error().message);
      continue;
    }
    if (Status status = read(setting, *path); !status) add(status.error().message);
  }
  return findings;
}

// The first finding as an Error: "line 3, column 8: cpu_weight: ...".
inline Status no_findings(const Findings& findings) {
  if (findings.findings.empty()) return {};
  const Finding& first = findings.findings.front();
  const std::string place =
      first.line == 0 ? "" : "line " + std::to_string(first.line) + ", column " + std::to_string(first.column) + ": ";
  return fail(Code::invalid_argument, place + first.message);
}

// Equal to within 1 %, as backends round to units of their own (KiB/s, shares of
// a period). "Unlimited" (0) equals itself only.
inline bool nearly_equal(std::uint64_t is, std::uint64_t wanted) {
  if (is == 0 || wanted == 0) return is == wanted;
  const std::uint64_t difference = is > wanted ? is - wanted : wanted - is;
  return difference <= wanted / 100;
}

// "cpu_quota: unlimited -> 150%; ...", for audit records.
template <class Changes>
std::string summary(const Changes& changes) {
  std::string out;
  for (const auto& change : changes.changes)
    out += (out.empty() ? "" : "; ") + change.what + ": " + change.is + " -> " + change.wanted;
  return out;
}

}  // namespace vmsec
