#include "output.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "json.hpp"
#include "vmsec/audit.hpp"

namespace vmsec::cli {
namespace {

// Short, and begins with a digit: so no UUID, digest or date.
bool is_figure(const std::string& cell) {
  constexpr std::size_t kLongest = 12;
  if (cell == "-") return true;
  return !cell.empty() && cell.size() <= kLongest && std::isdigit(static_cast<unsigned char>(cell.front())) != 0;
}

// How many places a text takes on a terminal: colour codes take none, a UTF-8 character one.
std::size_t width_of(const std::string& text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\033') {
      while (i < text.size() && text[i] != 'm') ++i;
    } else if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) {
      ++width;
    }
  }
  return width;
}

std::string scaled(double value, const std::vector<const char*>& units, double step) {
  std::size_t unit = 0;
  while (value >= step && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  std::array<char, 48> text{};
  const bool whole = unit == 0 || value == static_cast<double>(static_cast<std::uint64_t>(value));
  std::snprintf(text.data(), text.size(), whole ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text.data();
}

}  // namespace

// Of the control characters U+0080 to U+009f, which terminals take for an escape and a letter.
bool is_c1(const std::string& text, std::size_t at) {
  if (at + 1 >= text.size() || text[at] != '\xc2') return false;
  const auto second = static_cast<unsigned char>(text[at + 1]);
  return second >= 0x80 && second <= 0x9f;
}

// What comes from a guest's or another host's names must not steer the terminal:
// of control characters only our own colour codes stay.
std::string safe(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (is_c1(text, i)) {
      out += "\\x" + hexadecimal(text.substr(i, 2));
      ++i;
      continue;
    }
    if (byte >= 0x20 && byte != 0x7f) {
      out += text[i];
      continue;
    }
    const std::size_t end = byte == 0x1b ? text.find_first_not_of("0123456789", i + 2) : std::string::npos;
    if (end != std::string::npos && text[i + 1] == '[' && text[end] == 'm') {
      out += text.substr(i, end + 1 - i);
      i = end;
      continue;
    }
    out += "\\x" + hexadecimal(text.substr(i, 1));
  }
  return out;
}

std::string hexadecimal(std::string_view bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

Json time_json(Microseconds since_1970) { return since_1970.value == 0 ? Json() : Json(audit_time(since_1970)); }

Json time_json(UnixSeconds time) { return time_json(Microseconds{time.value * 1'000'000}); }

// UTF-8 without control characters but newline and tab.
bool is_text(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size();) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (byte < 0x80) {
      if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f) return false;
      ++i;
      continue;
    }
    const std::size_t length = byte >= 0xf0 && byte < 0xf5   ? 4
                               : byte >= 0xe0 && byte < 0xf0 ? 3
                               : byte >= 0xc2 && byte < 0xe0 ? 2
                                                             : 0;
    if (length == 0 || i + length > bytes.size()) return false;
    for (std::size_t k = 1; k < length; ++k)
      if ((static_cast<unsigned char>(bytes[i + k]) & 0xc0) != 0x80) return false;
    i += length;
  }
  return true;
}

bool is_terminal() { return ::isatty(STDOUT_FILENO) != 0; }

std::string coloured(Colour colour, const std::string& text) {
  if (colour == Colour::none || !is_terminal() || std::getenv("NO_COLOR") != nullptr) return text;
  const char* code = colour == Colour::green    ? "32"
                     : colour == Colour::yellow ? "33"
                     : colour == Colour::red    ? "31"
                                                : "1";
  return "\033[" + std::string(code) + "m" + text + "\033[0m";
}

void Table::add(std::vector<std::string> row) {
  for (auto& cell : row) cell = safe(cell);
  rows_.push_back(std::move(row));
}

void Table::print(std::FILE* to) const {
  const std::size_t columns = rows_.front().size();
  std::vector<std::size_t> widths(columns, 0);
  std::vector<bool> figures(columns, rows_.size() > 1);
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      widths[c] = std::max(widths[c], width_of(rows_[r][c]));
      if (r > 0 && !is_figure(rows_[r][c])) figures[c] = false;
    }
  }
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    std::string line;
    for (std::size_t c = 0; c < columns; ++c) {
      const std::string space(widths[c] - width_of(rows_[r][c]), ' ');
      const std::string cell = r == 0 ? coloured(Colour::bold, rows_[r][c]) : rows_[r][c];
      line += figures[c] ? space + cell : cell + space;
      if (c + 1 < columns) line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    std::fprintf(to, "%s\n", line.c_str());
  }
}

std::string joined(const std::vector<std::string>& texts, const std::string& none) {
  std::string out;
  for (const auto& text : texts) out += (out.empty() ? "" : ", ") + text;
  return out.empty() ? none : out;
}

void print_facts(const std::vector<Fact>& facts) {
  std::size_t width = 0;
  for (const auto& fact : facts) width = std::max(width, width_of(fact.name));
  for (const auto& fact : facts) {
    const std::string space(width - width_of(fact.name), ' ');
    std::printf("%s%s  %s\n", fact.name.c_str(), space.c_str(), safe(fact.value).c_str());
  }
}

std::string human(Bytes bytes) {
  return scaled(static_cast<double>(bytes.value), {"B", "KiB", "MiB", "GiB", "TiB"}, 1024);
}

std::string human(BytesPerSecond rate) {
  return scaled(static_cast<double>(rate.value), {"B/s", "kB/s", "MB/s", "GB/s"}, 1000);
}

std::string human(Microseconds time) {
  std::array<char, 48> text{};
  const double seconds = static_cast<double>(time.value) / 1e6;
  if (seconds >= 1)
    std::snprintf(text.data(), text.size(), "%.2f s", seconds);
  else
    std::snprintf(text.data(), text.size(), "%.0f ms", seconds * 1e3);
  return text.data();
}

std::string human_time(UnixSeconds time) {
  const auto seconds = static_cast<std::time_t>(time.value);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 48> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text.data();
}

void ProgressLine::show(const std::string& text) {
  if (!is_terminal()) return;
  std::printf("\r\033[K%s", text.c_str());
  std::fflush(stdout);
  shown_ = true;
}

void ProgressLine::end() {
  if (shown_) std::puts("");
  shown_ = false;
}

std::string progress_bar(double fraction, std::size_t width) {
  const auto full = static_cast<std::size_t>(std::clamp(fraction, 0.0, 1.0) * static_cast<double>(width));
  return "[" + std::string(full, '#') + std::string(width - full, '.') + "]";
}

}  // namespace vmsec::cli
