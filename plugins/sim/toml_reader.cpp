#include "toml_reader.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace vmsec::sim {
namespace {

std::string range_text(Range range) {
  return "want " + std::to_string(range.least) + " to " + std::to_string(range.most);
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  struct Unit {
    std::string_view name;
    std::uint64_t factor;
  };
  static constexpr std::array<Unit, 8> kUnits = {Unit{"", 1},       {"B", 1},           {"KB", 1000},
                                                 {"MB", 1000000},   {"GB", 1000000000}, {"KiB", 1u << 10},
                                                 {"MiB", 1u << 20}, {"GiB", 1u << 30}};
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return fail(Code::invalid_argument, "want a size such as \"64 MiB\"");
  auto rest = text.substr(static_cast<std::size_t>(end - text.data()));
  if (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  const auto* unit = std::ranges::find(kUnits, rest, &Unit::name);
  if (unit == kUnits.end()) return fail(Code::invalid_argument, "unknown unit: want B, KB, MB, GB, KiB, MiB or GiB");
  std::uint64_t value = 0;
  if (__builtin_mul_overflow(number, unit->factor, &value))
    return fail(Code::invalid_argument, "more than a size can be");
  return value;
}

std::unexpected<Error> TomlTable::bad_at(const toml::source_region& place, std::string_view key,
                                         std::string_view cause) const {
  return fail(Code::invalid_argument, std::string(file_) + ":" + std::to_string(place.begin.line) + ":" +
                                          std::to_string(place.begin.column) + ": " + path_ + std::string(key) + ": " +
                                          std::string(cause));
}

std::unexpected<Error> TomlTable::bad(std::string_view key, std::string_view cause) const {
  const toml::node* node = table_.get(key);
  return bad_at(node != nullptr ? node->source() : table_.source(), key, cause);
}

Status TomlTable::only(std::initializer_list<std::string_view> keys) const {
  for (auto&& [key, node] : table_) {
    if (std::ranges::find(keys, key.str()) != keys.end()) continue;
    const auto shown = is_printable(key.str()) ? key.str().substr(0, 40) : std::string_view("(unprintable)");
    return bad_at(key.source(), shown, "unknown key");
  }
  return {};
}

Result<const toml::node*> TomlTable::find(std::string_view key, Need need) const {
  const toml::node* node = table_.get(key);
  if (node == nullptr && need == Need::required) return bad(key, "missing");
  return node;
}

Status TomlTable::text(std::string_view key, Need need, std::size_t longest, std::string& out) const {
  VMSEC_TRY(const auto* node, find(key, need));
  if (node == nullptr) return {};
  const auto* value = node->as_string();
  if (value == nullptr) return bad(key, "want a text");
  if (value->get().size() > longest) return bad(key, "longer than " + std::to_string(longest) + " bytes");
  if (!is_printable(value->get())) return bad(key, "has a control character");
  out = value->get();
  return {};
}

Status TomlTable::number(std::string_view key, Need need, Range range, std::uint64_t& out) const {
  VMSEC_TRY(const auto* node, find(key, need));
  if (node == nullptr) return {};
  const auto* value = node->as_integer();
  if (value == nullptr) return bad(key, "want a whole number");
  if (value->get() < 0) return bad(key, range_text(range));
  const auto number = static_cast<std::uint64_t>(value->get());
  if (number < range.least || number > range.most) return bad(key, range_text(range));
  out = number;
  return {};
}

Status TomlTable::size(std::string_view key, Need need, Range range, std::uint64_t& out) const {
  VMSEC_TRY(const auto* node, find(key, need));
  if (node == nullptr) return {};
  if (node->is_integer()) return number(key, need, range, out);
  const auto* value = node->as_string();
  if (value == nullptr) return bad(key, "want a size such as \"64 MiB\"");
  const auto size = parse_size(value->get());
  if (!size) return bad(key, size.error().message);
  if (*size < range.least || *size > range.most) return bad(key, range_text(range) + " bytes");
  out = *size;
  return {};
}

Status TomlTable::rate(std::string_view key, std::uint64_t& out) const {
  static constexpr Range kRange{0, std::uint64_t{1} << 40};
  VMSEC_TRY(const auto* node, find(key, Need::optional));
  if (node == nullptr) return {};
  if (node->is_integer()) return number(key, Need::optional, kRange, out);
  const auto* value = node->as_string();
  if (value == nullptr || !value->get().ends_with("/s")) return bad(key, "want a rate such as \"10 MiB/s\"");
  const auto rate = parse_size(std::string_view(value->get()).substr(0, value->get().size() - 2));
  if (!rate) return bad(key, rate.error().message);
  if (*rate > kRange.most) return bad(key, range_text(kRange) + " bytes/s");
  out = *rate;
  return {};
}

Status TomlTable::fraction(std::string_view key, double& out) const {
  VMSEC_TRY(const auto* node, find(key, Need::optional));
  if (node == nullptr) return {};
  const auto value = node->value<double>();
  if (!value || !node->is_number()) return bad(key, "want a number");
  if (!(*value >= 0 && *value <= 1)) return bad(key, "want 0 to 1");
  out = *value;
  return {};
}

Status TomlTable::boolean(std::string_view key, bool& out) const {
  VMSEC_TRY(const auto* node, find(key, Need::optional));
  if (node == nullptr) return {};
  const auto* value = node->as_boolean();
  if (value == nullptr) return bad(key, "want true or false");
  out = value->get();
  return {};
}

Status TomlTable::texts(std::string_view key, std::size_t most, std::size_t longest,
                        std::vector<std::string>& out) const {
  VMSEC_TRY(const auto* node, find(key, Need::optional));
  if (node == nullptr) return {};
  const auto* array = node->as_array();
  if (array == nullptr) return bad(key, "want a list of texts");
  if (array->size() > most) return bad(key, "more than " + std::to_string(most) + " entries");
  for (const auto& each : *array) {
    const auto* value = each.as_string();
    if (value == nullptr) return bad_at(each.source(), key, "want a text");
    if (value->get().empty() || value->get().size() > longest || !is_printable(value->get()))
      return bad_at(each.source(), key, "want 1 to " + std::to_string(longest) + " printable bytes");
    out.push_back(value->get());
  }
  return {};
}

Result<std::optional<TomlTable>> TomlTable::table(std::string_view key) const {
  const toml::node* node = table_.get(key);
  if (node == nullptr) return std::nullopt;
  if (!node->is_table()) return bad(key, "want a table");
  return TomlTable(*node->as_table(), file_, path_ + std::string(key) + ".");
}

Result<std::vector<TomlTable>> TomlTable::tables(std::string_view key, std::size_t most) const {
  std::vector<TomlTable> out;
  const toml::node* node = table_.get(key);
  if (node == nullptr) return out;
  const auto* array = node->as_array();
  if (array == nullptr) return bad(key, "want [[" + std::string(key) + "]] tables");
  if (array->size() > most) return bad(key, "more than " + std::to_string(most));
  for (const auto& each : *array) {
    if (!each.is_table()) return bad_at(each.source(), key, "want a table");
    out.emplace_back(*each.as_table(), file_, path_ + std::string(key) + ".");
  }
  return out;
}

}  // namespace vmsec::sim
