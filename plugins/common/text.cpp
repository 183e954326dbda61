#include "text.hpp"

#include <algorithm>

namespace vmsec::common {

std::string shown(std::string_view value) {
  std::string text;
  for (const char c : value.substr(0, kShownLimit)) text += c >= ' ' && c <= '~' && c != '"' ? c : '?';
  return "\"" + text + (value.size() > kShownLimit ? "..." : "") + "\"";
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

std::vector<std::string> words_of(std::string_view list) {
  std::vector<std::string> words;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view word = trimmed(list.substr(0, comma));
    if (!word.empty()) words.emplace_back(word);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return words;
}

Status read_incoming(const std::map<std::string, std::string>& settings, const IncomingLists& lists) {
  constexpr std::string_view kPrefix = "incoming.";
  for (const auto& [key, text] : settings) {
    if (!key.starts_with(kPrefix)) continue;
    const std::string name = key.substr(kPrefix.size());
    const auto found = lists.find(name);
    if (found == lists.end())
      return fail(Code::invalid_argument, "backend setting \"" + key + "\": no such policy for incoming domains");
    *found->second = words_of(text);
    if (!name.ends_with("_roots")) continue;
    for (const std::string& root : *found->second)
      if (!root.starts_with("/") || root == "/")
        return fail(Code::invalid_argument,
                    "backend setting \"" + key + "\": " + shown(root) + " is not an absolute path of a folder below /");
  }
  return {};
}

}  // namespace vmsec::common
