// Typed, bounded reading of TOML tables. Every error names file, line and column.
#pragma once

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
// toml++ 3.3 asserts (and in a release build: assumes) what bad input breaks: a
// file that begins with "[[[" ends the process. Without the assertions it is an
// error as any other; the fuzz target of domain files watches over that.
#include <toml++/impl/preprocessor.h>
#undef TOML_ASSERT
#undef TOML_ASSERT_ASSUME
#define TOML_ASSERT(expression) static_assert(true)
#define TOML_ASSERT_ASSUME(expression) static_assert(true)
#include <toml++/toml.h>

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmsec/types.hpp"

namespace vmsec::sim {

enum class Need { required, optional };

struct Range {
  std::uint64_t least;
  std::uint64_t most;
};

// "64 MiB", or a number of bytes. Units: B, KB, MB, GB, KiB, MiB, GiB.
Result<std::uint64_t> parse_size(std::string_view text);

// One table. A view: the document must outlive it.
class TomlTable {
 public:
  TomlTable(const toml::table& table, std::string_view file, std::string path)
      : table_(table), file_(file), path_(std::move(path)) {}

  // Refuses keys that are not listed.
  Status only(std::initializer_list<std::string_view> keys) const;
  // Each leaves `out` as it is where an optional key is absent.
  Status text(std::string_view key, Need need, std::size_t longest, std::string& out) const;
  Status number(std::string_view key, Need need, Range range, std::uint64_t& out) const;
  Status size(std::string_view key, Need need, Range range, std::uint64_t& out) const;
  Status rate(std::string_view key, std::uint64_t& out) const;  // "10 MiB/s"
  Status fraction(std::string_view key, double& out) const;     // 0 to 1
  Status boolean(std::string_view key, bool& out) const;
  Status texts(std::string_view key, std::size_t most, std::size_t longest, std::vector<std::string>& out) const;
  Result<std::optional<TomlTable>> table(std::string_view key) const;
  Result<std::vector<TomlTable>> tables(std::string_view key, std::size_t most) const;
  // An error at this key (or at the table, where the key is absent).
  [[nodiscard]] std::unexpected<Error> bad(std::string_view key, std::string_view cause) const;

 private:
  Result<const toml::node*> find(std::string_view key, Need need) const;
  [[nodiscard]] std::unexpected<Error> bad_at(const toml::source_region& place, std::string_view key,
                                              std::string_view cause) const;

  const toml::table& table_;
  std::string_view file_;
  std::string path_;
};

}  // namespace vmsec::sim
