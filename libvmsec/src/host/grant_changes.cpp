#include "host/grant_changes.hpp"

#include "host/grant_service.hpp"

#include <algorithm>
#include <set>

namespace vmsec::host {
namespace {

using Names = std::set<std::string>;

std::vector<std::string> without(const Names& all, const Names& these) {
  std::vector<std::string> out;
  std::ranges::set_difference(all, these, std::back_inserter(out));
  return out;
}

const GrantRule* find_rule(const Policy* policy, const std::string& module, const std::string& vms) {
  if (policy == nullptr) return nullptr;
  for (const GrantRule& rule : policy->grant_rules())
    if (rule.module == module && rule.selector.text() == vms) return &rule;
  return nullptr;
}

Names interfaces_of(const GrantRule* rule) {
  return rule == nullptr ? Names() : Names(rule->interfaces.begin(), rule->interfaces.end());
}

// What the first rule that matches gives.
Names effective(const Policy* policy, const std::string& module, const DomainInfo& domain) {
  if (policy == nullptr) return {};
  for (const GrantRule& rule : policy->grant_rules())
    if (rule.module == module && rule.selector.matches(domain.name, domain.tags)) return interfaces_of(&rule);
  return {};
}

class Comparison {
 public:
  Comparison(const Policy* before, const Policy& after, const std::vector<DomainInfo>& domains)
      : before_(before), after_(after), domains_(domains) {}

  void add(const GrantRule& rule) {
    const std::string vms = rule.selector.text();
    const GrantRule* was = find_rule(before_, rule.module, vms);
    const GrantRule* will = find_rule(&after_, rule.module, vms);
    GrantChange change{rule.module,
                       vms,
                       without(interfaces_of(will), interfaces_of(was)),
                       without(interfaces_of(was), interfaces_of(will)),
                       {},
                       pattern_of(rule.selector, Selector::By::name),
                       pattern_of(rule.selector, Selector::By::tag)};
    for (const DomainInfo& domain : domains_)
      if (rule.selector.matches(domain.name, domain.tags) && differs(rule.module, domain)) {
        change.domains.push_back(domain.name);
        change.here.push_back({domain.domain, domain.name});
      }
    // A rule that came or went without an interface, or moved, may change what others give.
    const bool same = (was == nullptr) == (will == nullptr) && change.granted.empty() && change.withdrawn.empty();
    if (!same || !change.domains.empty()) changes_.push_back(std::move(change));
  }
  std::vector<GrantChange> take() { return std::move(changes_); }

 private:
  [[nodiscard]] bool differs(const std::string& module, const DomainInfo& domain) const {
    return effective(before_, module, domain) != effective(&after_, module, domain);
  }

  const Policy* before_;
  const Policy& after_;
  const std::vector<DomainInfo>& domains_;
  std::vector<GrantChange> changes_;
};

}  // namespace

std::vector<GrantChange> grant_changes(const Policy* before, const Policy& after,
                                       const std::vector<DomainInfo>& domains) {
  Comparison comparison(before, after, domains);
  for (const GrantRule& rule : after.grant_rules()) comparison.add(rule);
  if (before != nullptr)
    for (const GrantRule& rule : before->grant_rules())
      if (find_rule(&after, rule.module, rule.selector.text()) == nullptr) comparison.add(rule);
  return comparison.take();
}

}  // namespace vmsec::host
