// What both sides of reading libxl's JSON want of it: bounds, members, and what in it no definition can say.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "vmsec/capability/interchange.hpp"

namespace vmsec::xen {

inline constexpr std::size_t kLossLimit = 256;
inline constexpr std::string_view kNoWord = "a definition has no word for it";

// `limit_exceeded` above 64 KiB, `invalid_argument` for what is no JSON object, or nested deeper than libxl's ever is.
Result<nlohmann::json> parse_json(const std::string& text);
std::unexpected<Error> misread(const std::string& path, const std::string& wanted);
// Null where there is none.
const nlohmann::json& member(const nlohmann::json& object, const std::string& key);
// libxl writes empty objects and lists where it has nothing to say.
bool is_empty(const nlohmann::json& value);

// One more than kLossLimit at most.
void add_loss(std::vector<Loss>& losses, std::string place, std::string reason);
// What below `value` is neither carried, nor silent (libxl_defaults.hpp). `rule` names list elements "[]", `path` by
// their number.
void find_losses(const nlohmann::json& value, const std::string& rule, const std::string& path,
                 std::vector<Loss>& losses);

}  // namespace vmsec::xen
