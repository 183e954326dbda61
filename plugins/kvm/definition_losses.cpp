#include "definition_losses.hpp"

#include <algorithm>
#include <map>

#include "definition_xml.hpp"
#include "policy_xml.hpp"

namespace vmsec::kvm {
namespace {

constexpr std::string_view kUnknown = "no definition says it";

// As libvirt's schema has it, and short: it goes into a place.
std::string name_of(const xmlNode* node) {
  std::string name(view(node->name).substr(0, kShownLimit));
  if (node->ns != nullptr && node->ns->prefix != nullptr)
    name = std::string(view(node->ns->prefix).substr(0, kShownLimit)) + ":" + name;
  return name;
}

std::string step_of(const xmlNode* node) {
  const std::string name(view(node->name));
  return is_plain_typed(name) ? name + "[" + attribute(node, "type") + "]" : name;
}

std::string differs(std::string_view value, const std::vector<std::string_view>& wanted) {
  std::string text = "is " + shown(value) + "; a definition's domain has ";
  for (std::size_t i = 0; i < wanted.size(); ++i) text += (i == 0 ? "" : " or ") + shown(wanted[i]);
  return text;
}

}  // namespace

void LossFinder::lose(const std::string& place, const std::string& reason) {
  if (std::ranges::find(losses_, place, &Loss::place) != losses_.end()) return;
  if (losses_.size() == kMaximumLosses) {
    too_many_ = true;
    return;
  }
  losses_.push_back({place, reason});
}

void LossFinder::walk(const xmlNode* domain) {
  efi_ = child(domain, "os") != nullptr && attribute(child(domain, "os"), "firmware") == "efi";
  element(domain, "domain", "/domain");
  for (const std::string_view path : always_there())
    if (!seen_.contains(path)) lose("/" + std::string(path), "is not there; each definition's domain has it");
}

const PlainElement* LossFinder::rule_of(const std::string& path) const {
  static constexpr std::string_view kOs = "domain/os/";
  if (const PlainElement* rule = find_plain(path)) return rule;
  return efi_ && path.starts_with(kOs) ? find_plain("efi/os/" + path.substr(kOs.size())) : nullptr;
}

void LossFinder::element(const xmlNode* node, const std::string& path, const std::string& place) {
  if (too_many_) return;
  const PlainElement* rule = node->ns == nullptr ? rule_of(path) : nullptr;
  if (rule == nullptr) return lose(place, std::string(kUnknown));
  seen_.insert(path);
  if (!visitor_(path, node, place)) return;
  const std::size_t before = losses_.size();
  attributes(node, place, *rule);
  children(node, path, place, *rule);
  if (!rule->whole || losses_.size() == before) return;
  const Loss first = losses_[before];
  losses_.resize(before);
  // Its place below this one, without the slash.
  const std::size_t below = place.size() + 1;
  lose(place, (first.place.size() > below ? first.place.substr(below) + " " : "") + first.reason);
}

void LossFinder::attributes(const xmlNode* node, const std::string& place, const PlainElement& rule) {
  for (const xmlAttr* attr = node->properties; attr != nullptr; attr = attr->next) {
    const std::string_view name = view(attr->name);
    const std::string at = place + "/@" + std::string(name.substr(0, kShownLimit));
    const auto found = std::ranges::find(rule.attributes, name, &PlainAttribute::name);
    if (attr->ns != nullptr || found == rule.attributes.end()) {
      lose(at, std::string(kUnknown));
    } else if (const auto value = attribute(node, std::string(name).c_str());
               !found->values.empty() && std::ranges::find(found->values, value) == found->values.end()) {
      lose(at, differs(value, found->values));
    }
  }
}

void LossFinder::children(const xmlNode* node, const std::string& path, const std::string& place,
                          const PlainElement& rule) {
  std::map<std::string, std::size_t> of_name;  // how many there are
  for (const xmlNode* each = node->children; each != nullptr; each = each->next)
    if (each->type == XML_ELEMENT_NODE) ++of_name[name_of(each)];
  std::map<std::string, std::size_t> names;  // how many were seen
  std::set<std::string> steps;
  std::string text;
  for (const xmlNode* each = node->children; each != nullptr && !too_many_; each = each->next) {
    if (each->type == XML_TEXT_NODE || each->type == XML_CDATA_SECTION_NODE) text += view(each->content);
    if (each->type == XML_PI_NODE || each->type == XML_ENTITY_REF_NODE)
      lose(place, "holds something that is neither element nor text");
    if (each->type != XML_ELEMENT_NODE) continue;
    const std::string name = name_of(each);
    const std::size_t index = ++names[name];
    const std::string at = place + "/" + name + (of_name[name] > 1 ? "[" + std::to_string(index) + "]" : "");
    const std::string below = path + "/" + step_of(each);
    const PlainElement* plain = rule_of(below);
    if (!steps.insert(below).second && plain != nullptr && !plain->many) {
      lose(at, "stands there more than once");
    } else {
      element(each, below, at);
    }
  }
  const std::string_view held = trimmed(text);
  if (rule.text != "*" && held != rule.text)
    lose(place, held.empty()        ? "is empty; a definition's domain has " + shown(rule.text)
                : rule.text.empty() ? "holds text"
                                    : differs(held, {rule.text}));
}

}  // namespace vmsec::kvm
