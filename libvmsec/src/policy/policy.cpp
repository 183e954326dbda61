#include "vmsec/policy.hpp"

#include <algorithm>

#include "policy/findings.hpp"
#include "policy/flatten.hpp"
#include "policy/text.hpp"

namespace vmsec {

std::expected<Policy, Findings> Policy::read(const std::string& path) {
  auto text = policy::read_text(path);
  if (!text) return std::unexpected(Findings{{{0, 0, text.error().message}}});
  return parse(*text);
}

Findings Policy::check_modules(std::span<const ModuleOutline> loaded) const {
  policy::Sink sink;
  const auto check_section = [&](const Section& section) {
    if (std::ranges::find(loaded, section.name, &ModuleOutline::section) != loaded.end() && !section.name.empty())
      return;
    sink.add({section.line, section.column},
             "[vm." + policy::printable(section.name) + "]: no loaded module reads this section");
  };
  for (const VmRule& rule : vm_rules_)
    for (const Section& section : rule.sections) check_section(section);
  for (const GrantRule& grant : grant_rules_) {
    if (std::ranges::find(loaded, grant.module, &ModuleOutline::name) != loaded.end()) continue;
    sink.add({grant.line, grant.column}, "[[grant]]: no module \"" + grant.module + "\" is loaded");
  }
  for (const TenantRule& tenant : tenant_rules_)
    for (const std::string& module : tenant.offers) {
      if (std::ranges::find(loaded, module, &ModuleOutline::name) != loaded.end()) continue;
      sink.add({tenant.line, tenant.column}, "[[tenant]] \"" + policy::printable(tenant.name) + "\" is offered \"" +
                                                 policy::printable(module) + "\": no such module is loaded");
    }
  return sink.take();
}

const VmRule* Policy::rule_for(std::string_view domain_name, std::span<const std::string> tags) const {
  const auto found =
      std::ranges::find_if(vm_rules_, [&](const VmRule& rule) { return rule.selector.matches(domain_name, tags); });
  return found == vm_rules_.end() ? nullptr : &*found;
}

const Section* Policy::section(std::string_view domain_name, std::span<const std::string> tags,
                               std::string_view section) const {
  const VmRule* rule = rule_for(domain_name, tags);
  if (rule == nullptr) return nullptr;
  const auto found = std::ranges::find(rule->sections, section, &Section::name);
  return found == rule->sections.end() ? nullptr : &*found;
}

bool Policy::grants(std::string_view module, std::string_view domain_name, std::span<const std::string> tags,
                    std::string_view interface) const {
  const auto decides = [&](const GrantRule& rule) {
    return rule.module == module && rule.selector.matches(domain_name, tags);
  };
  const auto rule = std::ranges::find_if(grant_rules_, decides);
  return rule != grant_rules_.end() && std::ranges::find(rule->interfaces, interface) != rule->interfaces.end();
}

bool Policy::grants_any(std::string_view module, std::string_view interface) const {
  return std::ranges::any_of(grant_rules_, [&](const GrantRule& rule) {
    return rule.module == module && std::ranges::find(rule.interfaces, interface) != rule.interfaces.end();
  });
}

const TenantRule* Policy::tenant_of(std::string_view domain_name, std::span<const std::string> tags) const {
  const auto found = std::ranges::find_if(
      tenant_rules_, [&](const TenantRule& rule) { return rule.selector.matches(domain_name, tags); });
  return found == tenant_rules_.end() ? nullptr : &*found;
}

const TenantRule* Policy::tenant(std::string_view name) const {
  const auto found = std::ranges::find(tenant_rules_, name, &TenantRule::name);
  return found == tenant_rules_.end() ? nullptr : &*found;
}

bool Policy::is_offered(std::string_view module) const {
  return std::ranges::any_of(tenant_rules_, [&](const TenantRule& rule) {
    return std::ranges::find(rule.offers, module) != rule.offers.end();
  });
}

Result<Settings> parse_settings(std::string_view text, std::string_view file_name) {
  policy::Sink sink;
  Settings settings;
  policy::with_toml(text, sink, [&](const toml::table& root) {
    settings = policy::flatten(root, policy::TableLists::allowed, sink);
  });
  if (!sink.clean()) return fail(Code::invalid_argument, describe(sink.take(), file_name));
  return settings;
}

Result<Settings> read_settings(const std::string& path) {
  VMSEC_TRY(const std::string text, policy::read_text(path));
  return parse_settings(text, path);
}

}  // namespace vmsec
