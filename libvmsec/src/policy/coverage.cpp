// Which sections of a policy no grant lets their module act on.
#include <algorithm>

#include "policy/findings.hpp"
#include "policy/overlap.hpp"
#include "vmsec/policy.hpp"

namespace vmsec {
namespace {

std::string missing_of(const ModuleOutline& module, const GrantRule& grant) {
  std::string missing;
  for (const auto& need : module.needs)
    if (std::ranges::find(grant.interfaces, need) == grant.interfaces.end())
      missing += (missing.empty() ? "" : ", ") + need;
  return missing;
}

std::string list_of(const std::vector<std::string>& names) {
  std::string list;
  for (const auto& name : names) list += (list.empty() ? "\"" : ", \"") + name + "\"";
  return "[" + list + "]";
}

// What the module's grants make of one section's domains.
struct Coverage {
  const GrantRule* covering = nullptr;  // decides for all that no earlier grant decides for
  const GrantRule* lacking = nullptr;   // the first that may match, and does not give all
  bool enough_for_some = false;
};

Coverage coverage_of(const Policy& policy, const Selector& domains, const ModuleOutline& module) {
  Coverage out;
  for (const GrantRule& grant : policy.grant_rules()) {
    if (grant.module != module.name || !policy::may_overlap(grant.selector, domains)) continue;
    const bool enough = missing_of(module, grant).empty();
    out.enough_for_some = out.enough_for_some || enough;
    if (!enough && out.lacking == nullptr) out.lacking = &grant;
    if (!grant.selector.covers(domains)) continue;
    out.covering = &grant;
    break;
  }
  return out;
}

std::string advice(const ModuleOutline& module, const Selector& domains) {
  const std::string by = domains.by == Selector::By::tag ? "tag" : "vm";
  return "[[grant]] module = \"" + module.name + "\" " + by + " = \"" + policy::printable(domains.pattern) +
         "\" interfaces = " + list_of(module.needs);
}

}  // namespace

GrantGaps Policy::check_grants(std::span<const ModuleOutline> loaded) const {
  policy::Sink findings;
  policy::Sink warnings;
  const auto check = [&](const VmRule& rule, const Section& section, const ModuleOutline& module) {
    const Coverage coverage = coverage_of(*this, rule.selector, module);
    // An earlier grant that gives less is an exception that its author made.
    if (coverage.covering != nullptr && missing_of(module, *coverage.covering).empty()) return;
    const std::string where = "[vm." + policy::printable(section.name) + "]: ";
    const std::string who = "module \"" + module.name + "\"";
    const std::string what = policy::printable(rule.selector.text());
    const policy::Place at{section.line, section.column};
    if (coverage.enough_for_some)
      warnings.add(at, where + "no [[grant]] lets " + who + " act on all of " + what + ": the others stay as they are");
    else if (coverage.lacking != nullptr)
      findings.add(at, where + "the [[grant]] at line " + std::to_string(coverage.lacking->line) + " does not give " +
                           who + " all that it needs on " + what + ": add " + missing_of(module, *coverage.lacking));
    else
      findings.add(at,
                   where + "no [[grant]] lets " + who + " act on " + what + ": add " + advice(module, rule.selector));
  };
  for (const VmRule& rule : vm_rules_)
    for (const Section& section : rule.sections)
      for (const ModuleOutline& module : loaded)
        if (module.section == section.name && !section.name.empty() && !module.needs.empty())
          check(rule, section, module);
  return {findings.take(), warnings.take()};
}

}  // namespace vmsec
