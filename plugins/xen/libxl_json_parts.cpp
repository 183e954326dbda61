#include "libxl_json_parts.hpp"

#include <algorithm>

#include "libxl_defaults.hpp"

namespace vmsec::xen {
namespace {

using nlohmann::json;

constexpr std::size_t kTextLimit = 64 * 1024;
constexpr int kDepthLimit = 8;

// Read by from_libxl_json()'s own functions.
constexpr std::string_view kCarried[] = {
    "c_info.type",
    "c_info.name",
    "c_info.uuid",
    "b_info.max_vcpus",
    "b_info.avail_vcpus",
    "b_info.max_memkb",
    "b_info.target_memkb",
    "b_info.kernel",
    "b_info.ramdisk",
    "b_info.cmdline",
    "b_info.type.hvm.bios",
    "disks",
    "disks[].pdev_path",
    "disks[].vdev",
    "disks[].format",
    "disks[].readwrite",
    "nics",
    "nics[].devid",
    "nics[].mac",
    "nics[].bridge",
    "nics[].script",
};

// A value as the table of silent keys writes it.
std::string word_of(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
  return value.is_number_unsigned() ? std::to_string(value.get<std::uint64_t>()) : std::string();
}

bool is_silent(const json& value, const std::string& rule) {
  const auto keys = silent_keys();
  const auto found = std::ranges::find(keys, rule, &Silent::path);
  if (found == keys.end()) return false;
  const std::string word = word_of(value);
  return !word.empty() && !word.contains(' ') && found->words.contains(" " + word + " ");
}

bool is_plain_key(std::string_view key) {
  return !key.empty() && key.size() <= 64 && std::ranges::all_of(key, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

Result<json> parse_json(const std::string& text) {
  if (text.size() > kTextLimit)
    return fail(Code::limit_exceeded, "libxl-json: more than " + std::to_string(kTextLimit) + " bytes");
  bool too_deep = false;
  const auto look = [&](int depth, json::parse_event_t, const json&) {
    too_deep = too_deep || depth > kDepthLimit;
    return !too_deep;
  };
  json document = json::parse(text, look, false);
  if (too_deep) return fail(Code::invalid_argument, "libxl-json: nested too deeply");
  if (document.is_discarded() || !document.is_object())
    return fail(Code::invalid_argument, "libxl-json: it is no JSON object");
  return document;
}

std::unexpected<Error> misread(const std::string& path, const std::string& wanted) {
  return fail(Code::invalid_argument, "libxl-json: " + path + ": want " + wanted);
}

const json& member(const json& object, const std::string& key) {
  static const json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(key);
  return found == object.end() ? kNothing : *found;
}

// libxl writes empty objects and lists where it has nothing to say.
bool is_empty(const json& value) {
  return value.is_null() || value == "" || value == "<default>" || (value.is_structured() && value.empty());
}

void add_loss(std::vector<Loss>& losses, std::string place, std::string reason) {
  if (losses.size() <= kLossLimit) losses.push_back({std::move(place), std::move(reason)});
}

void find_losses(const json& value, const std::string& rule, const std::string& path, std::vector<Loss>& losses) {
  if (is_empty(value) || std::ranges::find(kCarried, rule) != std::end(kCarried) || is_silent(value, rule)) return;
  if (!value.is_object()) return add_loss(losses, path, std::string(kNoWord));
  for (const auto& [key, each] : value.items()) {
    // Only libxl's unions have a dot in a key: elsewhere it would look like another key's path.
    const bool named =
        is_plain_key(key) || (rule == "b_info" && (key == "type.pv" || key == "type.pvh" || key == "type.hvm"));
    const std::string name = named ? key : "?";
    find_losses(each, rule.empty() ? name : rule + "." + name, path.empty() ? name : path + "." + name, losses);
  }
}

}  // namespace vmsec::xen
