#include "io_max.hpp"

#include <charconv>
#include <sstream>

namespace vmsec::xen {
namespace {

std::string value_text(std::uint64_t value) { return value == 0 ? "max" : std::to_string(value); }

Result<std::uint64_t> value_of(std::string_view text) {
  if (text == "max") return std::uint64_t{0};
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  return fail(Code::io, "io.max: \"" + std::string(text) + "\" is no number");
}

Status take_word(std::string_view word, DiskLimit& into) {
  const auto equals = word.find('=');
  if (equals == std::string_view::npos) return fail(Code::io, "io.max: \"" + std::string(word) + "\" has no value");
  const std::string_view key = word.substr(0, equals);
  VMSEC_TRY(const std::uint64_t value, value_of(word.substr(equals + 1)));
  if (key == "rbps") into.read.value = value;
  if (key == "wbps") into.write.value = value;
  if (key == "riops") into.read_ops.value = value;
  if (key == "wiops") into.write_ops.value = value;
  return {};
}

}  // namespace

std::string format_io_max(std::string_view device, const DiskLimit& limit) {
  return std::string(device) + " rbps=" + value_text(limit.read.value) + " wbps=" + value_text(limit.write.value) +
         " riops=" + value_text(limit.read_ops.value) + " wiops=" + value_text(limit.write_ops.value);
}

Result<DiskLimit> parse_io_max(std::string_view text, std::string_view device) {
  std::istringstream lines{std::string(text)};
  DiskLimit out;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    if (!(words >> word) || word != device) continue;
    while (words >> word) VMSEC_CHECK(take_word(word, out));
  }
  return out;
}

}  // namespace vmsec::xen
