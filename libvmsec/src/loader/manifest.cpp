#include "loader/manifest.hpp"

#include <map>

#include "vmsec/policy.hpp"

namespace vmsec::loader {
namespace {

constexpr std::size_t kMaximumManifest = 64 << 10;

Status take(const Setting& setting, const std::string& file, Manifest& manifest) {
  const auto at = [&](const std::string& cause) {
    return fail(Code::invalid_argument, file + ":" + std::to_string(setting.line) + ":" +
                                            std::to_string(setting.column) + ": " + setting.path + ": " + cause);
  };
  const std::map<std::string, std::string*> texts = {{"name", &manifest.name},
                                                     {"version", &manifest.version},
                                                     {"summary", &manifest.summary},
                                                     {"section", &manifest.section}};
  const std::map<std::string, std::vector<std::string>*> lists = {{"provides", &manifest.provides},
                                                                  {"needs", &manifest.needs},
                                                                  {"asks", &manifest.asks},
                                                                  {"waits", &manifest.waits}};
  if (const auto text = texts.find(setting.path); text != texts.end()) {
    if (setting.type != SettingType::text) return at("must be a text");
    *text->second = setting.text;
    return {};
  }
  if (const auto list = lists.find(setting.path); list != lists.end()) {
    if (setting.type != SettingType::list) return at("must be a list of texts");
    *list->second = setting.list;
    return {};
  }
  if (setting.path == "in_process") {
    if (setting.type != SettingType::boolean) return at("must be true or false");
    manifest.in_process = setting.boolean;
    return {};
  }
  return at("unknown key");
}

}  // namespace

Result<Manifest> parse_manifest(std::string_view text, const std::string& file) {
  const std::string what = "manifest of " + file;
  if (text.size() > kMaximumManifest)
    return fail(Code::limit_exceeded, what + ": " + std::to_string(text.size()) + " bytes exceed 64 KiB");
  VMSEC_TRY(const Settings settings, parse_settings(text, what));
  Manifest manifest;
  for (const Setting& setting : settings.settings) VMSEC_CHECK(take(setting, what, manifest));
  if (manifest.name.empty() || manifest.version.empty())
    return fail(Code::invalid_argument, what + ": name and version must be given");
  return manifest;
}

}  // namespace vmsec::loader
