// The part of TOML that a reference file is written in: comments, [tables], bare
// and dotted keys, integers, true and false, texts without escapes, and lists of these.
//
// A parser of its own since the file decides what is trusted, and needs little.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "vmsec/result.hpp"

namespace vmsec::boot {

struct TextPlace {
  std::size_t line = 1;
  std::size_t column = 1;
};

struct TomlKey {
  std::string name;
  TextPlace place;
};
using TomlPath = std::vector<TomlKey>;  // of at most 4 keys

struct TomlScalar {
  std::variant<std::int64_t, std::string, bool> value;
  TextPlace place;
};

struct TomlValue {
  std::variant<TomlScalar, std::vector<TomlScalar>> value;
  TextPlace place;
};

// Is told of each line in order; its first error ends the parse.
class TomlSink {
 public:
  virtual ~TomlSink() = default;
  virtual Status table(const TomlPath& path) = 0;
  virtual Status assignment(const TomlPath& path, const TomlValue& value) = 0;
  // The Error of something wrong at that place of the file.
  [[nodiscard]] virtual std::unexpected<Error> bad(TextPlace place, const std::string& cause) const = 0;
};

Status parse_toml_lines(std::string_view text, TomlSink& sink);

}  // namespace vmsec::boot
