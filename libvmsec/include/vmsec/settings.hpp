// Configuration as modules get it: typed values with their place in the file.
#pragma once

#include <string>
#include <vector>

#include "vmsec/wire.hpp"

namespace vmsec {

enum class SettingType : std::uint32_t { none = 0, text = 1, integer = 2, boolean = 3, real = 4, list = 5 };

// One key of a TOML file. A path's parts are joined by dots; a part that has a
// dot of its own is quoted as in TOML.
struct Setting {
  std::string path;  // "disk.vda.read", below the module's own table
  SettingType type = SettingType::none;
  std::string text;
  std::int64_t integer = 0;
  bool boolean = false;
  double real = 0;
  std::vector<std::string> list;  // of texts; integers as their digits
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  static constexpr std::string_view kMessage = "vmsec.Setting";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "path", &Setting::path), wire::field(2, "type", &Setting::type),
                        wire::field(3, "text", &Setting::text), wire::field(4, "integer", &Setting::integer),
                        wire::field(5, "boolean", &Setting::boolean), wire::field(6, "real", &Setting::real),
                        wire::field(7, "list", &Setting::list), wire::field(8, "line", &Setting::line),
                        wire::field(9, "column", &Setting::column));
  }
};

struct Settings {
  std::vector<Setting> settings;
  static constexpr std::string_view kMessage = "vmsec.Settings";
  static constexpr auto fields() { return wire::fields(wire::field(1, "settings", &Settings::settings)); }
};

// Something wrong in a configuration or a policy, and where.
struct Finding {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string message;
  static constexpr std::string_view kMessage = "vmsec.Finding";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "line", &Finding::line), wire::field(2, "column", &Finding::column),
                        wire::field(3, "message", &Finding::message));
  }
};

struct Findings {
  std::vector<Finding> findings;
  static constexpr std::string_view kMessage = "vmsec.Findings";
  static constexpr auto fields() { return wire::fields(wire::field(1, "findings", &Findings::findings)); }
};

}  // namespace vmsec
