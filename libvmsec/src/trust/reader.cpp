#include "trust/reader.hpp"

#include <algorithm>
#include <charconv>

namespace vmsec::trust {
namespace {

std::string place(const std::string& file, std::uint32_t line, std::uint32_t column) {
  return file + ":" + std::to_string(line) + ":" + std::to_string(column) + ": ";
}

}  // namespace

Result<Reader> Reader::read(const Settings& settings, std::string file, std::vector<std::string> tables) {
  Reader reader(std::move(file));
  for (const Setting& setting : settings.settings) {
    const auto unknown = [&] {
      return fail(Code::invalid_argument,
                  place(reader.file_, setting.line, setting.column) + setting.path + ": unknown key");
    };
    const auto bracket = setting.path.find('[');
    const auto dot = setting.path.find("].");
    if (dot == std::string::npos) {
      reader.top_.keys.emplace(setting.path, &setting);
      continue;
    }
    const std::string name = setting.path.substr(0, bracket);
    std::size_t index = 0;
    const char* const end = setting.path.data() + dot;
    if (bracket > dot || std::ranges::find(tables, name) == tables.end() ||
        std::from_chars(setting.path.data() + bracket + 1, end, index).ptr != end)
      return unknown();
    Table& table = reader.tables_[{name, index}];
    if (table.line == 0 || std::pair(setting.line, setting.column) < std::pair(table.line, table.column)) {
      table.line = setting.line;
      table.column = setting.column;
    }
    table.keys.emplace(setting.path.substr(dot + 2), &setting);
  }
  return reader;
}

std::vector<Table> Reader::tables(std::string_view name) const {
  std::vector<Table> found;
  for (const auto& [id, table] : tables_)
    if (id.first == name) found.push_back(table);
  return found;
}

std::unexpected<Error> Reader::at(const Table& table, std::string_view key, const std::string& cause) const {
  const auto found = table.keys.find(key);
  const std::string where = found != table.keys.end() ? place(file_, found->second->line, found->second->column)
                                                      : place(file_, table.line, table.column);
  return fail(Code::invalid_argument, where + std::string(key) + ": " + cause);
}

Status Reader::only(const Table& table, std::vector<std::string_view> keys) const {
  for (const auto& [key, setting] : table.keys)
    if (std::ranges::find(keys, key) == keys.end()) return at(table, key, "unknown key");
  return {};
}

Result<std::string> Reader::text(const Table& table, std::string_view key, Presence presence) const {
  const auto found = table.keys.find(key);
  if (found == table.keys.end()) {
    if (presence == Presence::optional) return std::string();
    return at(table, key, "must be given");
  }
  if (found->second->type != SettingType::text || found->second->text.empty()) return at(table, key, "must be a text");
  return found->second->text;
}

Result<std::vector<std::string>> Reader::texts(const Table& table, std::string_view key) const {
  const auto found = table.keys.find(key);
  if (found == table.keys.end()) return at(table, key, "must be given");
  if (found->second->type != SettingType::list) return at(table, key, "must be a list of texts");
  return found->second->list;
}

Status Reader::check_format(std::int64_t format) const {
  const auto found = top_.keys.find("format");
  if (found == top_.keys.end() || found->second->type != SettingType::integer || found->second->integer != format)
    return at(top_, "format", "must be " + std::to_string(format));
  return {};
}

}  // namespace vmsec::trust
