#include "policy/overlap.hpp"

#include <algorithm>
#include <string_view>

namespace vmsec::policy {
namespace {

std::size_t literal_prefix(std::string_view pattern) { return std::min(pattern.find_first_of("*?"), pattern.size()); }

std::size_t literal_suffix(std::string_view pattern) {
  const auto last = pattern.find_last_of("*?");
  return last == std::string_view::npos ? pattern.size() : pattern.size() - last - 1;
}

}  // namespace

bool may_overlap(const Selector& a, const Selector& b) {
  if (a.by != b.by) return true;
  if (a.by == Selector::By::tag) return true;  // a domain has many tags
  const auto head = std::min(literal_prefix(a.pattern), literal_prefix(b.pattern));
  const auto tail = std::min(literal_suffix(a.pattern), literal_suffix(b.pattern));
  return a.pattern.substr(0, head) == b.pattern.substr(0, head) &&
         a.pattern.substr(a.pattern.size() - tail) == b.pattern.substr(b.pattern.size() - tail);
}

}  // namespace vmsec::policy
