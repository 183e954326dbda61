#include "loader/manifest.hpp"

#include <toml++/toml.h>

namespace vmsec::loader {
namespace {

constexpr std::size_t kMaximumManifest = 64 << 10;

std::unexpected<Error> at(const toml::source_region& where, const std::string& file, const std::string& cause) {
  return fail(Code::invalid_argument, "manifest of " + file + ":" + std::to_string(where.begin.line) + ":" +
                                          std::to_string(where.begin.column) + ": " + cause);
}

Result<std::vector<std::string>> texts(const toml::node& node, const std::string& key, const std::string& file) {
  std::vector<std::string> out;
  const auto* list = node.as_array();
  if (list == nullptr) return at(node.source(), file, key + " must be a list of texts");
  for (const auto& element : *list) {
    const auto* text = element.as_string();
    if (text == nullptr) return at(element.source(), file, key + " must be a list of texts");
    out.push_back(text->get());
  }
  return out;
}

Result<Manifest> read(const toml::table& table, const std::string& file) {
  Manifest manifest;
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    std::string* text = name == "name"      ? &manifest.name
                        : name == "version" ? &manifest.version
                        : name == "summary" ? &manifest.summary
                        : name == "section" ? &manifest.section
                                            : nullptr;
    std::vector<std::string>* list = name == "provides" ? &manifest.provides
                                     : name == "needs"  ? &manifest.needs
                                     : name == "asks"   ? &manifest.asks
                                                        : nullptr;
    if (text != nullptr) {
      if (!node.is_string()) return at(node.source(), file, name + " must be a text");
      *text = node.as_string()->get();
    } else if (list != nullptr) {
      VMSEC_TRY(*list, texts(node, name, file));
    } else {
      return at(key.source(), file, "unknown key " + name);
    }
  }
  if (manifest.name.empty() || manifest.version.empty())
    return fail(Code::invalid_argument, "manifest of " + file + ": name and version must be given");
  return manifest;
}

}  // namespace

Result<Manifest> parse_manifest(std::string_view text, const std::string& file) {
  if (text.size() > kMaximumManifest)
    return fail(Code::limit_exceeded,
                "manifest of " + file + ": " + std::to_string(text.size()) + " bytes exceed 64 KiB");
  try {
    return read(toml::parse(text), file);
  } catch (const toml::parse_error& error) {
    return at(error.source(), file, std::string(error.description()));
  }
}

}  // namespace vmsec::loader
