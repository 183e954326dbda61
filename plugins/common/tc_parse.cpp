#include "tc_parse.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace vmsec::common {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaximumText = 1 << 20;
constexpr int kMaximumDepth = 16;

// The array that tc prints; nothing at all where there is nothing to show.
Result<Json> parse_array(std::string_view text, std::string_view what) {
  const auto bad = [&](std::string_view cause) {
    return fail(Code::internal, "read " + std::string(what) + ": " + std::string(cause));
  };
  if (text.size() > kMaximumText) return bad("longer than 1 MiB");
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return Json::array();
  const auto shallow = [](int depth, Json::parse_event_t, Json&) { return depth < kMaximumDepth; };
  Json json = Json::parse(text, shallow, false);
  if (!json.is_array()) return bad("not a JSON array");
  return json;
}

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint64_t number_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

}  // namespace

Result<std::vector<Qdisc>> parse_qdiscs(std::string_view json) {
  VMSEC_TRY(const Json array, parse_array(json, "the qdiscs that tc lists"));
  std::vector<Qdisc> out;
  for (const auto& each : array) {
    if (!each.is_object()) continue;
    Qdisc qdisc;
    qdisc.kind = text_of(each, "kind");
    qdisc.handle = text_of(each, "handle");
    const auto root = each.find("root");
    qdisc.root = root != each.end() && root->is_boolean() && root->get<bool>();
    const auto options = each.find("options");
    if (options != each.end() && options->is_object()) qdisc.rate = number_of(*options, "rate");
    out.push_back(std::move(qdisc));
  }
  return out;
}

Result<std::vector<std::string>> parse_redirects(std::string_view json) {
  VMSEC_TRY(const Json array, parse_array(json, "the filters that tc lists"));
  std::vector<std::string> out;
  for (const auto& each : array) {
    if (!each.is_object()) continue;
    const auto options = each.find("options");
    if (options == each.end() || !options->is_object()) continue;
    const auto actions = options->find("actions");
    if (actions == options->end() || !actions->is_array()) continue;
    for (const auto& action : *actions) {
      if (!action.is_object() || text_of(action, "kind") != "mirred") continue;
      if (text_of(action, "mirred_action") == "redirect") out.push_back(text_of(action, "to_dev"));
    }
  }
  return out;
}

Result<std::vector<std::string>> parse_links(std::string_view json) {
  VMSEC_TRY(const Json array, parse_array(json, "the links that ip lists"));
  std::vector<std::string> out;
  for (const auto& each : array) {
    if (each.is_object() && is_interface_name(text_of(each, "ifname"))) out.push_back(text_of(each, "ifname"));
  }
  return out;
}

bool is_interface_name(std::string_view name) {
  if (name.empty() || name.size() > 15 || name.front() == '-' || name.front() == '.') return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

}  // namespace vmsec::common
