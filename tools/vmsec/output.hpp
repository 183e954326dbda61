// What people read: aligned tables, sizes with units, colours on a terminal only.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "vmsec/types.hpp"

namespace vmsec::cli {

enum class Colour { none, green, yellow, red, bold };

bool is_terminal();
// The text in a colour, on a terminal without NO_COLOR; else as it is.
std::string coloured(Colour colour, const std::string& text);

class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  // Control characters in it are written out: names from elsewhere do not steer the terminal.
  void add(std::vector<std::string> row);
  // Columns that hold figures only are aligned to the right.
  void print(std::FILE* to = stdout) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "name   web-1" lines, the values in one column.
struct Fact {
  std::string name;
  std::string value;
};
std::string safe(const std::string& text);  // without control characters
void print_facts(const std::vector<Fact>& facts);
std::string joined(const std::vector<std::string>& texts,
                   const std::string& none);  // "a, b"; `none` where there is none

std::string human(Bytes bytes);            // "256 MiB"
std::string human(BytesPerSecond rate);    // "81.3 MB/s"
std::string human(Microseconds time);      // "1.24 s", "310 ms"
std::string human_time(UnixSeconds time);  // "2026-11-21 05:00:00 UTC"

// A line that is redrawn on a terminal; nothing elsewhere.
class ProgressLine {
 public:
  void show(const std::string& text);
  void end();

 private:
  bool shown_ = false;
};
std::string progress_bar(double fraction, std::size_t width = 24);

}  // namespace vmsec::cli
