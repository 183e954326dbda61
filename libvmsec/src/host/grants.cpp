#include "host/grants.hpp"

#include <algorithm>

namespace vmsec::host {
namespace {

thread_local const Policy* previewed = nullptr;

bool holds(const std::vector<std::string>& list, std::string_view name) {
  return std::ranges::find(list, name) != list.end();
}

bool takes(const Withdrawal& withdrawal, const std::string& module, const About* about, std::string_view interface) {
  if (withdrawal.module != module) return false;
  if (!withdrawal.interfaces.empty() && !holds(withdrawal.interfaces, interface)) return false;
  const Selector selector = selector_of(withdrawal);
  if (about == nullptr) return selector.covers({Selector::By::name, "*"});
  // One whose name nobody knows may be one of them.
  return about->name.name.empty() || selector.matches(about->name.name, about->name.tags);
}

const Withdrawal* find_withdrawal(const GrantState& state, const std::string& module, const About* about,
                                  std::string_view interface) {
  const auto found = std::ranges::find_if(
      state.withdrawals, [&](const Withdrawal& each) { return takes(each, module, about, interface); });
  return found == state.withdrawals.end() ? nullptr : &*found;
}

}  // namespace

Selector selector_of(const Withdrawal& withdrawal) {
  if (!withdrawal.tag.empty()) return {Selector::By::tag, withdrawal.tag};
  return {Selector::By::name, withdrawal.vm};
}

Grants::Preview::Preview(const Policy& policy) { previewed = &policy; }
Grants::Preview::~Preview() { previewed = nullptr; }
bool Grants::previewing() { return previewed != nullptr; }

Grants::Grants(bool all_without_policy, std::string host)
    : all_without_policy_(all_without_policy), host_(std::move(host)), standing_(std::make_shared<const Standing>()) {}

void Grants::replace(Policy policy) {
  auto fresh = std::make_shared<const Policy>(std::move(policy));
  const std::lock_guard lock(mutex_);
  policy_ = std::move(fresh);
}

void Grants::stand(GrantState state) {
  auto fresh = std::make_shared<Standing>();
  for (const TenantChoice& each : state.choices) fresh->chosen[{each.domain, each.module}] = each.tenant;
  fresh->state = std::move(state);
  const std::lock_guard lock(mutex_);
  standing_ = std::move(fresh);
}

std::shared_ptr<const Policy> Grants::current() const {
  const std::lock_guard lock(mutex_);
  return policy_;
}

std::shared_ptr<const Grants::Standing> Grants::stands() const {
  const std::lock_guard lock(mutex_);
  return standing_;
}

std::shared_ptr<const GrantState> Grants::standing() const {
  const auto standing = stands();
  return {standing, &standing->state};
}

// The tenant's rule is looked at anew each time: a domain that leaves it, or an
// offer that ends, takes the choice along.
bool Grants::is_chosen(const Standing& standing, const Policy& policy, const std::string& module, const About& about) {
  const TenantRule* tenant = policy.tenant_of(about.name.name, about.name.tags);
  if (tenant == nullptr || !holds(tenant->offers, module)) return false;
  const auto found = standing.chosen.find({about.domain, module});
  return found != standing.chosen.end() && found->second == tenant->name;
}

Ruling Grants::rule(const std::string& module, const About* about, std::string_view interface) const {
  const auto in_force = current();
  const auto standing = stands();
  const Policy* policy = previewed != nullptr ? previewed : in_force.get();
  const auto granted = [&] {
    if (policy == nullptr) return all_without_policy_;
    if (about == nullptr) return policy->grants_any(module, interface);
    return policy->grants(module, about->name.name, about->name.tags, interface);
  };
  if (!granted()) return Ruling::not_granted;
  if (find_withdrawal(standing->state, module, about, interface) != nullptr) return Ruling::withdrawn;
  if (policy == nullptr || about == nullptr || !policy->is_offered(module)) return Ruling::allowed;
  return is_chosen(*standing, *policy, module, *about) ? Ruling::allowed : Ruling::not_chosen;
}

std::string Grants::advice(const std::string& module, const About* about, std::string_view interface) const {
  const auto policy = current();
  const std::string quoted = "\"" + std::string(interface) + "\"";
  // The first rule that matches decides: another one behind it would change nothing.
  if (policy && about != nullptr)
    for (const GrantRule& rule : policy->grant_rules())
      if (rule.module == module && rule.selector.matches(about->name.name, about->name.tags) &&
          !holds(rule.interfaces, interface))
        return "add " + quoted + " to its [[grant]] at line " + std::to_string(rule.line);
  return "add [[grant]] module = \"" + module + "\" vm = \"" + (about == nullptr ? "*" : about->name.name) +
         "\" interfaces = [" + quoted + "]";
}

std::string Grants::explain(Ruling ruling, const std::string& module, const About* about,
                            std::string_view interface) const {
  const std::string where = about != nullptr ? " on domain \"" + about->name.name + "\"" : " on all domains";
  if (ruling == Ruling::not_chosen)
    return "no tenant that is offered it has chosen it" + where +
           ": \"vmsec tenant choose\" does, \"vmsec tenant show\" tells whose it is";
  const auto standing = stands();
  const Withdrawal* withdrawal = find_withdrawal(standing->state, module, about, interface);
  if (withdrawal == nullptr) return "an operator withdrew it" + where;  // and just gave it back
  return "an operator withdrew it" + where + ": \"vmsec grant restore " + std::to_string(withdrawal->id) +
         "\" gives it back";
}

}  // namespace vmsec::host
