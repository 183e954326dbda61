#include <algorithm>

#include "vmsec/policy.hpp"

namespace vmsec {

namespace {

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// How many bytes of `text` from `at` one pattern character takes; 0: it does not match.
using Consume = std::size_t (*)(char pattern, std::string_view text, std::size_t at);

std::size_t consume_name(char pattern, std::string_view text, std::size_t at) {
  if (pattern != '?') return pattern == text[at] ? 1 : 0;
  if (is_continuation(text[at])) return 0;  // ? is one character, not one byte
  std::size_t end = at + 1;
  while (end < text.size() && is_continuation(text[end])) ++end;
  return end - at;
}

// Here the text is itself a pattern: only a star stands for its star.
std::size_t consume_pattern(char pattern, std::string_view text, std::size_t at) {
  if (text[at] == '*') return 0;
  if (text[at] == '?') return pattern == '?' ? 1 : 0;
  return consume_name(pattern, text, at);
}

// On a mismatch the latest star takes one byte more: no recursion, and at
// worst size times size steps.
bool glob(std::string_view pattern, std::string_view text, Consume consume) {
  constexpr auto kNone = std::string_view::npos;
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = kNone;
  std::size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
      continue;
    }
    if (const std::size_t taken = p < pattern.size() ? consume(pattern[p], text, t) : 0; taken != 0) {
      ++p;
      t += taken;
      continue;
    }
    if (star == kNone) return false;
    p = star + 1;
    t = ++resume;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace

bool Selector::matches(std::string_view name, std::span<const std::string> tags) const {
  if (by == By::tag) return std::ranges::find(tags, pattern) != tags.end();
  return glob(pattern, name, consume_name);
}

bool Selector::covers(const Selector& other) const {
  if (by == By::tag) return other.by == By::tag && pattern == other.pattern;
  if (other.by == By::tag) return pattern.find_first_not_of('*') == std::string::npos && !pattern.empty();
  return glob(pattern, other.pattern, consume_pattern);
}

std::string Selector::text() const { return (by == By::tag ? "tag \"" : "VM \"") + pattern + "\""; }

}  // namespace vmsec
