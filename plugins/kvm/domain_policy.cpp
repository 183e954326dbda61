#include "domain_policy.hpp"

#include <libxml/parser.h>
#include <libxml/tree.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "domain_policy_rules.hpp"

namespace vmsec::kvm {

namespace {

constexpr std::size_t kXmlLimit = std::size_t{1} << 20;
constexpr int kDepthLimit = 64;
constexpr std::size_t kShown = 80;

struct FreeDocument {
  void operator()(xmlDoc* document) const { xmlFreeDoc(document); }
};
struct FreeText {
  void operator()(xmlChar* text) const { xmlFree(text); }
};
struct FreeParser {
  void operator()(xmlParserCtxt* parser) const { xmlFreeParserCtxt(parser); }
};
using DocumentPtr = std::unique_ptr<xmlDoc, FreeDocument>;
using TextPtr = std::unique_ptr<xmlChar, FreeText>;
using ParserPtr = std::unique_ptr<xmlParserCtxt, FreeParser>;

std::string_view view(const xmlChar* text) {
  return text == nullptr ? std::string_view() : reinterpret_cast<const char*>(text);
}

// A value that a message may show: printable, and short.
std::string shown(std::string_view value) {
  std::string text;
  for (const char c : value.substr(0, kShown)) text += c >= ' ' && c <= '~' && c != '"' ? c : '?';
  return "\"" + text + (value.size() > kShown ? "..." : "") + "\"";
}

std::unexpected<Error> denied(const std::string& path, const std::string& cause) {
  return fail(Code::denied, path + ": " + cause);
}

bool is_token(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_.,:+-^= ").find(c) != std::string_view::npos;
  });
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

bool is_plain_path(const std::string& path) {
  return path.starts_with("/") && !path.ends_with("/") &&
         std::filesystem::path(path).lexically_normal().native() == path;
}

bool contains(const std::filesystem::path& folder, const std::filesystem::path& path) {
  auto at = path.begin();
  for (const auto& part : folder) {
    if (part.empty()) continue;  // the slash at a folder's end
    if (at == path.end() || *at != part) return false;
    ++at;
  }
  return at != path.end();
}

// What libxml2 holds of `document` is freed by the caller's DocumentPtr.
Result<DocumentPtr> parse(std::string_view xml, std::string_view what) {
  const std::string name(what);
  if (xml.size() > kXmlLimit)
    return fail(Code::invalid_argument,
                name + ": " + std::to_string(xml.size()) + " bytes exceed the limit of " + std::to_string(kXmlLimit));
  if (xml.find('\0') != std::string_view::npos) return fail(Code::invalid_argument, name + ": a NUL byte within XML");
  // Refused before the parser sees it: nothing that we read needs one.
  if (xml.find("<!DOCTYPE") != std::string_view::npos || xml.find("<!ENTITY") != std::string_view::npos)
    return fail(Code::denied, name + ": a document type or an entity is declared");
  const ParserPtr parser(xmlNewParserCtxt());
  if (!parser) return fail(Code::internal, name + ": no memory for an XML parser");
  DocumentPtr document(xmlCtxtReadMemory(parser.get(), xml.data(), static_cast<int>(xml.size()), nullptr, nullptr,
                                         XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING));
  if (!document)
    return fail(Code::invalid_argument,
                name + ": no well-formed XML, line " + std::to_string(parser->lastError.line) + ": " +
                    std::string(trimmed(view(reinterpret_cast<const xmlChar*>(
                        parser->lastError.message == nullptr ? "" : parser->lastError.message)))));
  if (document->intSubset != nullptr) return fail(Code::denied, name + ": a document type is declared");
  const std::string_view encoding = view(document->encoding);
  if (!encoding.empty() && encoding != "UTF-8" && encoding != "utf-8")
    return fail(Code::denied, name + ": encoding " + shown(encoding) + " is not UTF-8");
  return document;
}

class Checker {
 public:
  Checker(const IncomingPolicy& policy, const ExpectedDomain& expected, Definition definition)
      : policy_(policy), expected_(expected), definition_(definition) {}

  // The path's steps decide the rule; `node` is an element.
  Status element(const xmlNode* node, const std::string& parent, int depth) {
    const std::string path = parent + step(node, parent);
    if (depth > kDepthLimit) return denied(path, "nested too deeply");
    if (node->ns != nullptr) return denied(path, "belongs to another XML namespace");
    if (path == "qemu-migration/domain") return kept_domain(node, depth);
    const ElementRule* rule = find_rule(rule_path(path));
    if (rule == nullptr) return denied(path, "is not in the list of what this host accepts");
    if (rule->opaque) return {};
    if (node->nsDef != nullptr) return denied(path, "declares another XML namespace");
    VMSEC_CHECK(attributes(node, path, *rule));
    VMSEC_CHECK(children(node, path, *rule, depth));
    count(path);
    return required(node, path);
  }

  // That the domain's own name and UUID were there, once each.
  Status complete(const std::string& root) const {
    if (uuids_ != 1 || names_ != 1) return denied(root, "wants exactly one name and one UUID");
    return {};
  }

 private:
  static std::string attribute(const xmlNode* node, const char* name) {
    const TextPtr value(xmlGetNoNsProp(node, reinterpret_cast<const xmlChar*>(name)));
    return std::string(view(value.get()));
  }

  static std::string step(const xmlNode* node, const std::string& parent) {
    std::string name(view(node->name));
    // rng's backend has its type in "model".
    const bool by_model = name == "backend" && parent.ends_with("/rng/");
    const std::string type = is_typed(name) ? attribute(node, by_model ? "model" : "type") : std::string();
    if (type.empty()) return name;
    return name + "[" + (is_token(type) && type.size() <= kShown ? type : std::string("?")) + "]";
  }

  // A cookie's processor has a domain's rules; a chain of backing files has the
  // rules of its first link.
  static std::string rule_path(const std::string& path) {
    static constexpr std::string_view kCookieCpu = "qemu-migration/cpu";
    static constexpr std::string_view kLink = "/backingStore[file]";
    std::string plain = path;
    if (plain.starts_with(kCookieCpu)) plain.replace(0, kCookieCpu.size(), "domain/cpu");
    const std::string twice = std::string(kLink) + std::string(kLink);
    for (auto at = plain.find(twice); at != std::string::npos; at = plain.find(twice)) plain.erase(at, kLink.size());
    return plain;
  }

  Status kept_domain(const xmlNode* node, int depth) {
    Checker checker(policy_, expected_, Definition::kept);
    VMSEC_CHECK(checker.element(node, "", depth + 1));
    return checker.complete("qemu-migration/domain");
  }

  void count(const std::string& path) {
    if (path == "domain/uuid" || path == "qemu-migration/uuid") ++uuids_;
    if (path == "domain/name" || path == "qemu-migration/name") ++names_;
  }

  Status attributes(const xmlNode* node, const std::string& path, const ElementRule& rule) const {
    for (const xmlAttr* attr = node->properties; attr != nullptr; attr = attr->next) {
      const std::string name(view(attr->name));
      const std::string place = path + "/@" + name;
      if (attr->ns != nullptr) return denied(place, "belongs to another XML namespace");
      const auto found = std::find_if(rule.attributes.begin(), rule.attributes.end(),
                                      [&](const AttributeRule& each) { return each.name == name; });
      if (found == rule.attributes.end()) return denied(place, "is not in the list of what this host accepts");
      const std::string given = attribute(node, name.c_str());
      VMSEC_CHECK(value(place, found->kind, given));
      if (found->values.empty()) continue;
      if (std::find(found->values.begin(), found->values.end(), given) == found->values.end())
        return denied(place, shown(given) + " is not in the list of what this host accepts");
    }
    return {};
  }

  Status children(const xmlNode* node, const std::string& path, const ElementRule& rule, int depth) {
    std::string text;
    for (const xmlNode* child = node->children; child != nullptr; child = child->next) {
      switch (child->type) {
        case XML_ELEMENT_NODE:
          VMSEC_CHECK(element(child, path + "/", depth + 1));
          break;
        case XML_TEXT_NODE:
        case XML_CDATA_SECTION_NODE:
          text += view(child->content);
          break;
        case XML_COMMENT_NODE:
          break;
        default:
          return denied(path, "holds something that is neither element nor text");
      }
    }
    return value(path, rule.text, rule.text == ValueKind::none ? std::string(trimmed(text)) : text);
  }

  // What must be there, because libvirt would choose or look for itself where it is not.
  Status required(const xmlNode* node, const std::string& path) const {
    if (definition_ == Definition::kept || !path.starts_with("domain/devices/disk[")) return {};
    if (path.find('/', std::string_view("domain/devices/").size()) != std::string::npos) return {};
    bool source = false;
    bool backing = false;
    for (const xmlNode* child = node->children; child != nullptr; child = child->next) {
      source = source || view(child->name) == "source";
      backing = backing || view(child->name) == "backingStore";
    }
    if (source && !backing) return denied(path, "has no backingStore: its backing files would be looked up here");
    return {};
  }

  Status value(const std::string& path, ValueKind kind, const std::string& given) const {
    switch (kind) {
      case ValueKind::none:
        return given.empty() ? Status() : denied(path, "holds text");
      case ValueKind::token:
        return is_token(trimmed(given)) ? Status() : denied(path, shown(given) + " is no plain word or number");
      case ValueKind::any:
        return {};
      case ValueKind::emulator:
        return one_of(path, given, policy_.emulators, "incoming.emulators");
      case ValueKind::disk:
        return below(path, given, policy_.disk_roots, "incoming.disk_roots");
      case ValueKind::kernel:
        return below(path, given, policy_.kernel_roots, "incoming.kernel_roots");
      case ValueKind::firmware:
        return below(path, given, policy_.firmware_roots, "incoming.firmware_roots");
      case ValueKind::nvram:
        return below(path, given, policy_.nvram_roots, "incoming.nvram_roots");
      case ValueKind::file:
        return below(path, given, policy_.file_roots, "incoming.file_roots");
      case ValueKind::bridge:
        return one_of(path, given, policy_.bridges, "incoming.bridges");
      case ValueKind::network:
        return one_of(path, given, policy_.networks, "incoming.networks");
      case ValueKind::tap:
        return tap(path, given);
      case ValueKind::listen:
        return one_of(path, given, policy_.listen, "incoming.listen");
      case ValueKind::random:
        return one_of(path, std::string(trimmed(given)), {"/dev/urandom", "/dev/random"}, "sources of randomness");
      case ValueKind::partition:
        return given == "/machine" ? Status() : denied(path, shown(given) + " is not /machine");
      case ValueKind::uuid: {
        const auto uuid = Uuid::parse(given);
        return uuid && *uuid == expected_.uuid
                   ? Status()
                   : denied(path, shown(given) + " is not the migration's domain " + expected_.uuid.text());
      }
      case ValueKind::name:
        return given == expected_.name ? Status()
                                       : denied(path, shown(given) + " is not the name of the migration's domain");
    }
    return denied(path, "has no rule");
  }

  static Status one_of(const std::string& path, const std::string& given, const std::vector<std::string>& list,
                       const std::string& setting) {
    if (std::find(list.begin(), list.end(), given) != list.end()) return {};
    return denied(path, shown(given) + " is not among this host's " + setting);
  }

  static Status below(const std::string& path, const std::string& given, const std::vector<std::string>& roots,
                      const std::string& setting) {
    if (!is_plain_path(given)) return denied(path, shown(given) + " is not a plain absolute path");
    if (lies_below(given, roots)) return {};
    return denied(path, shown(given) + " is not below this host's " + setting);
  }

  Status tap(const std::string& path, const std::string& given) const {
    for (const std::string& prefix : policy_.tap_prefix)
      if (!prefix.empty() && given.starts_with(prefix) && is_token(given)) return {};
    return denied(path, shown(given) + " begins with none of this host's incoming.tap_prefix");
  }

  const IncomingPolicy& policy_;
  const ExpectedDomain& expected_;
  Definition definition_;
  int uuids_ = 0;
  int names_ = 0;
};

Status check_root(const xmlDoc* document, std::string_view want, Checker& checker) {
  const xmlNode* root = xmlDocGetRootElement(document);
  if (root == nullptr || view(root->name) != want)
    return fail(Code::invalid_argument, "the XML's root is not <" + std::string(want) + ">");
  for (const xmlNode* node = document->children; node != nullptr; node = node->next)
    if (node->type != XML_ELEMENT_NODE && node->type != XML_COMMENT_NODE)
      return fail(Code::denied, std::string(want) + ": something else stands beside the root element");
  VMSEC_CHECK(checker.element(root, "", 0));
  return checker.complete(std::string(want));
}

Error about(const Error& error, const ExpectedDomain& expected) { return error.in("incoming domain " + expected.name); }

}  // namespace

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

bool lies_below(const std::string& path, const std::vector<std::string>& folders) {
  namespace fs = std::filesystem;
  if (!is_plain_path(path)) return false;
  std::error_code failed;
  const fs::path real = fs::weakly_canonical(path, failed);
  if (failed) return false;
  return std::any_of(folders.begin(), folders.end(), [&](const std::string& folder) {
    const fs::path real_folder = fs::weakly_canonical(folder, failed);
    return !failed && contains(folder, path) && contains(real_folder, real);
  });
}

Result<IncomingPolicy> IncomingPolicy::from_settings(const std::map<std::string, std::string>& settings) {
  IncomingPolicy policy;
  const std::map<std::string_view, std::vector<std::string>*> lists = {
      {"emulators", &policy.emulators},
      {"disk_roots", &policy.disk_roots},
      {"kernel_roots", &policy.kernel_roots},
      {"file_roots", &policy.file_roots},
      {"firmware_roots", &policy.firmware_roots},
      {"nvram_roots", &policy.nvram_roots},
      {"bridges", &policy.bridges},
      {"networks", &policy.networks},
      {"tap_prefix", &policy.tap_prefix},
      {"listen", &policy.listen},
  };
  policy.emulators = {"/usr/bin/qemu-system-x86_64"};
  policy.firmware_roots = {"/usr/share/OVMF", "/usr/share/qemu", "/usr/share/seabios"};
  policy.nvram_roots = {"/var/lib/libvirt/qemu/nvram"};
  policy.listen = {"127.0.0.1", "::1"};
  for (const auto& [key, text] : settings) {
    if (!key.starts_with("incoming.")) continue;
    const std::string name = key.substr(std::string_view("incoming.").size());
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
  return policy;
}

Status check_domain(const IncomingPolicy& policy, const ExpectedDomain& expected, std::string_view xml,
                    Definition definition) {
  const auto document = parse(xml, "domain");
  if (!document) return fail(about(document.error(), expected));
  Checker checker(policy, expected, definition);
  const Status checked = check_root(document->get(), "domain", checker);
  return checked ? Status() : fail(about(checked.error(), expected));
}

Status check_cookie(const IncomingPolicy& policy, const ExpectedDomain& expected, std::string_view cookie,
                    CookieFrom from) {
  if (cookie.empty()) return {};
  if (cookie.back() != '\0')
    return fail(Error{Code::invalid_argument, "migration cookie: has no NUL at its end", 0, {}});
  const auto document = parse(cookie.substr(0, cookie.size() - 1), "migration cookie");
  if (!document) return fail(about(document.error(), expected));
  const xmlNode* root = xmlDocGetRootElement(document->get());
  for (const xmlNode* child = root == nullptr ? nullptr : root->children; child != nullptr; child = child->next) {
    const bool domain = child->type == XML_ELEMENT_NODE && view(child->name) == "domain";
    if (domain && from == CookieFrom::destination)
      return fail(about(Error{Code::denied, "qemu-migration/domain: comes from the destination", 0, {}}, expected));
  }
  Checker checker(policy, expected, Definition::live);
  const Status checked = check_root(document->get(), "qemu-migration", checker);
  return checked ? Status() : fail(about(checked.error(), expected));
}

}  // namespace vmsec::kvm
