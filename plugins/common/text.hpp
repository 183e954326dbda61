// Small words about texts that come from elsewhere.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "vmsec/result.hpp"

namespace vmsec::common {

// Without spaces, tabs and line ends at both ends.
std::string_view trimmed(std::string_view text);
// In quotes, for an error: control characters replaced, cut where it is long.
inline constexpr std::size_t kShownLimit = 80;
std::string shown(std::string_view value);
// The words of a list that is separated by commas.
std::vector<std::string> words_of(std::string_view list);

// The settings "incoming.NAME", each a list; one whose name ends with "_roots" holds folders. A list
// that is not set keeps what it has. `invalid_argument` for another name, or a folder that is none.
using IncomingLists = std::map<std::string_view, std::vector<std::string>*>;
Status read_incoming(const std::map<std::string, std::string>& settings, const IncomingLists& lists);

}  // namespace vmsec::common
