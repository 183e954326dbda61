// Paths of settings: "disk.vda.read", "nic.\"tap.0\".receive", "peer[1].name".
//
// A part that is more than letters, digits, _ and - is quoted, so that a path
// can always be taken apart again. Header-only: modules use it too.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "vmsec/result.hpp"

namespace vmsec::setting_path {

inline std::string quote(std::string_view part) {
  const auto bare = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  if (!part.empty() && std::ranges::all_of(part, bare)) return std::string(part);
  std::string out = "\"";
  for (const char c : part) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

// The path of a key below `parent` (empty: the top).
inline std::string child(std::string_view parent, std::string_view key) {
  return parent.empty() ? quote(key) : std::string(parent) + "." + quote(key);
}

// The path of an element of a list of tables.
inline std::string element(std::string_view list, std::size_t index) {
  return std::string(list) + "[" + std::to_string(index) + "]";
}

// The parts, without quotes. An index stays with its part: "peer[1]".
inline Result<std::vector<std::string>> split(std::string_view path) {
  std::vector<std::string> parts(1);
  const auto bad = [&] {
    return fail(Code::invalid_argument, "\"" + std::string(path) + "\" is no path of a setting");
  };
  for (std::size_t at = 0; at < path.size(); ++at) {
    if (path[at] == '.') {
      parts.emplace_back();
      continue;
    }
    if (path[at] != '"') {
      parts.back() += path[at];
      continue;
    }
    for (++at; at < path.size() && path[at] != '"'; ++at) {
      if (path[at] == '\\') ++at;
      if (at == path.size()) return bad();
      parts.back() += path[at];
    }
    if (at == path.size()) return bad();
  }
  return parts;
}

}  // namespace vmsec::setting_path
