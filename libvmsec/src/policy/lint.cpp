// What a policy allows, and its author hardly meant.
#include <algorithm>

#include "policy/findings.hpp"
#include "policy/overlap.hpp"
#include "vmsec/policy.hpp"

namespace vmsec {
namespace {

// What reads a guest whole, or takes it elsewhere: to be granted VM by VM.
constexpr std::array<std::string_view, 2> kGrave = {"vmsec.MemoryAccess", "vmsec.Migration"};

bool holds(const auto& list, std::string_view name) { return std::ranges::find(list, name) != std::end(list); }

bool is_about_all(const Selector& selector) { return selector.covers({Selector::By::name, "*"}); }

std::string to_whom(const GrantRule& grant) { return "[[grant]] to \"" + policy::printable(grant.module) + "\""; }

std::string named(const TenantRule& tenant) { return "[[tenant]] \"" + policy::printable(tenant.name) + "\""; }

void lint_grant(const GrantRule& grant, std::span<const ModuleOutline> loaded, policy::Sink& sink) {
  const policy::Place at{grant.line, grant.column};
  const auto module = std::ranges::find(loaded, grant.module, &ModuleOutline::name);
  for (const std::string& interface : grant.interfaces) {
    if (module != loaded.end() && !holds(module->needs, interface))
      sink.add(at, to_whom(grant) + ": " + interface + " is nothing that its manifest needs: take it out");
    if (holds(kGrave, interface) && is_about_all(grant.selector))
      sink.add(at, to_whom(grant) + ": " + interface +
                       " on every VM, and on those that are still to come: name the VMs that it is for");
  }
}

// Whether some grant may let the module act on some of these VMs.
bool is_granted(const Policy& policy, const std::string& module, const Selector& vms) {
  for (const GrantRule& grant : policy.grant_rules()) {
    if (grant.module != module || !policy::may_overlap(grant.selector, vms)) continue;
    if (!grant.interfaces.empty()) return true;
    if (grant.selector.covers(vms)) return false;
  }
  return false;
}

void lint_offers(const Policy& policy, const TenantRule& tenant, policy::Sink& sink) {
  for (const std::string& module : tenant.offers)
    if (!is_granted(policy, module, tenant.selector))
      sink.add({tenant.line, tenant.column}, named(tenant) + ": to choose \"" + policy::printable(module) +
                                                 "\" has no effect: no [[grant]] lets it act on " +
                                                 policy::printable(tenant.selector.text()));
}

// By name alone: which tags come together, no pattern says.
void lint_overlap(const TenantRule& first, const TenantRule& second, policy::Sink& sink) {
  if (first.selector.by != Selector::By::name || second.selector.by != Selector::By::name) return;
  if (!policy::may_overlap(first.selector, second.selector)) return;
  sink.add({second.line, second.column}, named(second) + " for " + policy::printable(second.selector.text()) +
                                             " may share VMs with " + named(first) + " at line " +
                                             std::to_string(first.line) + ", who then has them: the first decides");
}

}  // namespace

Findings Policy::lint(std::span<const ModuleOutline> loaded) const {
  policy::Sink sink;
  for (const GrantRule& grant : grant_rules_) lint_grant(grant, loaded, sink);
  for (std::size_t i = 0; i < tenant_rules_.size(); ++i) {
    lint_offers(*this, tenant_rules_[i], sink);
    for (std::size_t j = 0; j < i; ++j) lint_overlap(tenant_rules_[j], tenant_rules_[i], sink);
  }
  return sink.take();
}

}  // namespace vmsec
