// Tables of texts in TOML, read strictly: what trust's files are made of.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "vmsec/result.hpp"
#include "vmsec/settings.hpp"

namespace vmsec::trust {

// One [[table]], or what stands above all of them.
struct Table {
  std::map<std::string, const Setting*, std::less<>> keys;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

// Borrows the settings.
class Reader {
 public:
  // `tables`: the lists of tables that there may be. Other ones are errors.
  static Result<Reader> read(const Settings& settings, std::string file, std::vector<std::string> tables);

  [[nodiscard]] const Table& top() const { return top_; }
  [[nodiscard]] std::vector<Table> tables(std::string_view name) const;

  // Every key of the table is one of these.
  [[nodiscard]] Status only(const Table& table, std::vector<std::string_view> keys) const;
  // The text of a key; the error names its place. Absent: an empty one, or an error.
  enum class Presence { required, optional };
  [[nodiscard]] Result<std::string> text(const Table& table, std::string_view key, Presence presence) const;
  [[nodiscard]] Result<std::vector<std::string>> texts(const Table& table, std::string_view key) const;
  // The file's format is this one.
  [[nodiscard]] Status check_format(std::int64_t format) const;
  [[nodiscard]] std::unexpected<Error> at(const Table& table, std::string_view key, const std::string& cause) const;

 private:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  std::string file_;
  Table top_;
  std::map<std::pair<std::string, std::size_t>, Table> tables_;
};

}  // namespace vmsec::trust
