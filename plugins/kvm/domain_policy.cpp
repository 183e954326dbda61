#include "domain_policy.hpp"

#include <algorithm>
#include <memory>

#include "domain_policy_rules.hpp"
#include "host_path.hpp"
#include "policy_xml.hpp"

namespace vmsec::kvm {

namespace {

using common::PathUse;

constexpr int kDepthLimit = 64;

const std::vector<std::string> kActions = {"destroy",  "restart", "preserve", "rename-restart",
                                           "poweroff", "pause",   "ignore"};

std::unexpected<Error> denied(const std::string& path, const std::string& cause) {
  return fail(Code::denied, path + ": " + cause);
}

bool is_token(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_.,:+-^= ").find(c) != std::string_view::npos;
  });
}

class Checker {
 public:
  // A definition that is not used leaves open what a running domain must not.
  enum class Definition { used, left_out };
  Checker(const IncomingPolicy& policy, const ExpectedDomain& expected, Definition definition = Definition::used)
      : policy_(policy), expected_(expected), definition_(definition) {}

  // The path's steps decide the rule; `node` is an element.
  Status element(const xmlNode* node, const std::string& parent, int depth) {
    const std::string path = parent + step(node, parent);
    if (depth > kDepthLimit) return denied(path, "nested too deeply");
    if (node->ns != nullptr) return denied(path, "belongs to another XML namespace");
    const ElementRule* rule = find_rule(rule_path(path));
    if (rule == nullptr) return denied(path, "is not in the list of what this host accepts");
    if (rule->opaque) return {};
    if (node->nsDef != nullptr) return denied(path, "declares another XML namespace");
    VMSEC_CHECK(attributes(node, path, *rule));
    VMSEC_CHECK(children(node, path, *rule, depth));
    count(path);
    return definition_ == Definition::used ? required(node, path) : Status();
  }

  // That the domain's own name and UUID were there, once each.
  Status complete(const std::string& root) const {
    if (uuids_ != 1 || names_ != 1) return denied(root, "wants exactly one name and one UUID");
    return {};
  }

 private:
  static std::string step(const xmlNode* node, const std::string& parent) {
    std::string name(view(node->name));
    // rng's backend has its type in "model".
    const bool by_model = name == "backend" && parent.ends_with("/rng/");
    const std::string type = is_typed(name) ? attribute(node, by_model ? "model" : "type") : std::string();
    if (type.empty()) return name;
    return name + "[" + (is_token(type) && type.size() <= kShownLimit ? type : std::string("?")) + "]";
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

  // What must be there, because libvirt would choose or look for itself where it
  // is not; and only once, so that libvirt reads the one that was checked.
  static Status required(const xmlNode* node, const std::string& path) {
    const bool disk = path.starts_with("domain/devices/disk[") && is_device(path);
    const bool link = path.ends_with("/backingStore[file]");
    if (!disk && !link) return {};
    for (const std::string_view name : {"source", "driver", "format", "backingStore"})
      if (how_many(node, name) > 1) return denied(path, "has more than one " + std::string(name));
    if (link && how_many(node, "source") == 0) return denied(path, "names no file");
    if (how_many(node, "source") > 0 && how_many(node, "backingStore") == 0)
      return denied(path, "has no backingStore: its backing files would be looked up here");
    return {};
  }

  static bool is_device(const std::string& path) {
    return path.find('/', std::string_view("domain/devices/").size()) == std::string::npos;
  }

  static int how_many(const xmlNode* node, std::string_view name) {
    int count = 0;
    for (const xmlNode* child = node->children; child != nullptr; child = child->next)
      if (child->type == XML_ELEMENT_NODE && view(child->name) == name) ++count;
    return count;
  }

  Status value(const std::string& path, ValueKind kind, const std::string& given) const {
    switch (kind) {
      case ValueKind::none:
        return given.empty() ? Status() : denied(path, "holds text");
      case ValueKind::token:
        return is_token(trimmed(given)) ? Status() : denied(path, shown(given) + " is no plain word or number");
      case ValueKind::any:
        return {};
      case ValueKind::action:
        return one_of(path, given, kActions, "ways to go on after an end");
      case ValueKind::emulator:
        return one_of(path, given, policy_.emulators, "incoming.emulators");
      case ValueKind::disk:
        return below(path, given, policy_.disk_roots, "incoming.disk_roots", PathUse::data);
      case ValueKind::device:
        return below(path, given, policy_.disk_roots, "incoming.disk_roots", PathUse::device);
      case ValueKind::kernel:
        return below(path, given, policy_.kernel_roots, "incoming.kernel_roots", PathUse::program);
      case ValueKind::firmware:
        return below(path, given, policy_.firmware_roots, "incoming.firmware_roots", PathUse::program);
      case ValueKind::nvram:
        return nvram(path, given);
      case ValueKind::file:
        return below(path, given, policy_.file_roots, "incoming.file_roots", PathUse::data);
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
                      const std::string& setting, PathUse use) {
    if (!common::is_plain_path(given)) return denied(path, shown(given) + " is not a plain absolute path");
    if (!common::lies_below(given, roots)) return denied(path, shown(given) + " is not below this host's " + setting);
    const Status checked = common::check_use(given, roots, use);
    return checked ? Status() : denied(path, shown(given) + " " + checked.error().message);
  }

  // A firmware's variables hold the keys of the guest's secure boot. So the file is
  // this domain's own, as libvirt names it, and no other's below the same folder.
  Status nvram(const std::string& path, const std::string& given) const {
    VMSEC_CHECK(below(path, given, policy_.nvram_roots, "incoming.nvram_roots", PathUse::data));
    const std::string file = given.substr(given.rfind('/') + 1);
    if (file == expected_.name + "_VARS.fd" || file == expected_.uuid.text() + "_VARS.fd") return {};
    return denied(path, shown(given) + " is not the file of this domain, " + expected_.name + "_VARS.fd");
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

// libvirt's cookies end with a NUL.
Result<DocumentPtr> parse_cookie(std::string_view cookie) {
  if (cookie.empty() || cookie.back() != '\0')
    return fail(Code::invalid_argument, "migration cookie: is empty, or has no NUL at its end");
  return parse_policy_xml(cookie.substr(0, cookie.size() - 1), "migration cookie");
}

// Of the root element; null where it has none.
xmlNode* child_of(const xmlDoc* document, std::string_view name) {
  const xmlNode* root = xmlDocGetRootElement(document);
  for (xmlNode* child = root == nullptr ? nullptr : root->children; child != nullptr; child = child->next)
    if (child->type == XML_ELEMENT_NODE && view(child->name) == name) return child;
  return nullptr;
}

Result<std::string> written(xmlDoc* document) {
  struct FreeBuffer {
    void operator()(xmlBuffer* buffer) const { xmlBufferFree(buffer); }
  };
  const std::unique_ptr<xmlBuffer, FreeBuffer> buffer(xmlBufferCreate());
  if (!buffer || xmlNodeDump(buffer.get(), document, xmlDocGetRootElement(document), 0, 0) < 0)
    return fail(Code::internal, "migration cookie: no memory to write it");
  return std::string(view(xmlBufferContent(buffer.get()))) + '\0';
}

Error about(const Error& error, const ExpectedDomain& expected) { return error.in("incoming domain " + expected.name); }

}  // namespace

Result<IncomingPolicy> IncomingPolicy::from_settings(const std::map<std::string, std::string>& settings) {
  IncomingPolicy policy;
  const common::IncomingLists lists = {
      {"emulators", &policy.emulators},     {"disk_roots", &policy.disk_roots},
      {"copy_roots", &policy.copy_roots},   {"kernel_roots", &policy.kernel_roots},
      {"file_roots", &policy.file_roots},   {"firmware_roots", &policy.firmware_roots},
      {"nvram_roots", &policy.nvram_roots}, {"bridges", &policy.bridges},
      {"networks", &policy.networks},       {"tap_prefix", &policy.tap_prefix},
      {"listen", &policy.listen},
  };
  policy.emulators = {"/usr/bin/qemu-system-x86_64"};
  policy.firmware_roots = {"/usr/share/OVMF", "/usr/share/qemu", "/usr/share/seabios"};
  policy.nvram_roots = {"/var/lib/libvirt/qemu/nvram"};
  policy.listen = {"127.0.0.1", "::1"};
  VMSEC_CHECK(common::read_incoming(settings, lists));
  return policy;
}

Status check_domain(const IncomingPolicy& policy, const ExpectedDomain& expected, std::string_view xml) {
  const auto document = parse_policy_xml(xml, "domain");
  if (!document) return fail(about(document.error(), expected));
  Checker checker(policy, expected);
  const Status checked = check_root(document->get(), "domain", checker);
  return checked ? Status() : fail(about(checked.error(), expected));
}

Result<std::string> check_cookie(const ExpectedDomain& expected, std::string_view cookie, CookieOf call,
                                 CookieDisks disks) {
  if (cookie.empty() && call == CookieOf::finish && disks != CookieDisks::wanted) return std::string();
  const auto document = parse_cookie(cookie);
  if (!document) return fail(about(document.error(), expected));
  // No rule of a cookie has a path or a device of this host.
  const IncomingPolicy nothing;
  Checker checker(nothing, expected);
  const Status checked = check_root(document->get(), "qemu-migration", checker);
  if (!checked) return fail(about(checked.error(), expected));
  if (call == CookieOf::prepare && child_of(document->get(), "capabilities") == nullptr)
    return fail(about(Error{Code::denied, "qemu-migration: has no capabilities", 0, {}}, expected));
  const bool copies = child_of(document->get(), "nbd") != nullptr;
  if (copies && disks == CookieDisks::none)
    return fail(about(Error{Code::denied, "qemu-migration/nbd: no disk is to be copied", 0, {}}, expected));
  if (!copies && disks == CookieDisks::wanted)
    return fail(about(Error{Code::denied, "qemu-migration: has no nbd, and disks are copied", 0, {}}, expected));
  return std::string(cookie);
}

Result<std::string> without_definition(const IncomingPolicy& policy, const ExpectedDomain& expected,
                                       std::string_view cookie) {
  if (cookie.empty()) return std::string();
  const auto document = parse_cookie(cookie);
  if (!document) return fail(about(document.error(), expected));
  if (child_of(document->get(), "domain") == nullptr) return std::string(cookie);
  for (xmlNode* node = child_of(document->get(), "domain"); node != nullptr;
       node = child_of(document->get(), "domain")) {
    const Status checked = Checker(policy, expected, Checker::Definition::left_out).element(node, "", 1);
    if (!checked) return fail(about(checked.error(), expected));
    xmlUnlinkNode(node);
    xmlFreeNode(node);
  }
  return written(document->get());
}

}  // namespace vmsec::kvm
