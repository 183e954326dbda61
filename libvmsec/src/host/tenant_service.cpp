#include "host/tenant_service.hpp"

#include <algorithm>

#include "vmsec/identity.hpp"

namespace vmsec::host {
namespace {

std::string short_name(const std::string& name) { return name.substr(0, GrantStateLimits::kName); }

bool is_of(const TenantChoice& choice, const TenantChoice& request) {
  return choice.domain == request.domain && choice.module == request.module;
}

const DomainInfo* find_domain(const std::vector<DomainInfo>& domains, const Uuid& domain) {
  const auto found = std::ranges::find(domains, domain, &DomainInfo::domain);
  return found == domains.end() ? nullptr : &*found;
}

bool offers(const TenantRule& tenant, const std::string& module) {
  return std::ranges::find(tenant.offers, module) != tenant.offers.end();
}

std::string text_of_choice(const TenantChoice& choice, const std::string& vm, const std::string& verb) {
  return "tenant \"" + short_name(choice.tenant) + "\" " + verb + " module \"" + short_name(choice.module) +
         "\" for VM " + (vm.empty() ? choice.domain.text() : "\"" + vm + "\"");
}

}  // namespace

Result<TenantList> TenantService::list(const TenantRef& request) {
  const auto policy = grants_.current();
  if (!request.name.empty() && (!policy || policy->tenant(request.name) == nullptr))
    return fail(Code::not_found,
                "show tenant: the policy in force has no [[tenant]] \"" + short_name(request.name) + "\"");
  TenantList list;
  if (!policy) return list;
  VMSEC_TRY(const auto domains, list_domains(capabilities_));
  for (const TenantRule& tenant : policy->tenant_rules())
    if (request.name.empty() || tenant.name == request.name) list.tenants.push_back(describe(*policy, tenant, domains));
  return list;
}

TenantInfo TenantService::describe(const Policy& policy, const TenantRule& tenant,
                                   const std::vector<DomainInfo>& domains) {
  TenantInfo info{tenant.name,
                  tenant.selector.text(),
                  tenant.offers,
                  {},
                  {},
                  pattern_of(tenant.selector, Selector::By::name),
                  pattern_of(tenant.selector, Selector::By::tag)};
  for (const DomainInfo& each : domains)
    if (policy.tenant_of(each.name, each.tags) == &tenant) info.domains.push_back({each.domain, each.name});
  const auto standing = grants_.standing();
  for (const TenantChoice& choice : standing->choices) {
    if (choice.tenant != tenant.name) continue;
    const DomainInfo* domain = find_domain(domains, choice.domain);
    info.choices.push_back(
        {choice, domain == nullptr ? std::string() : domain->name, why_idle(policy, choice, domain)});
  }
  return info;
}

std::string TenantService::why_idle(const Policy& policy, const TenantChoice& choice, const DomainInfo* domain) const {
  if (domain == nullptr) return "the VM is not on this host";
  const TenantRule* owner = policy.tenant_of(domain->name, domain->tags);
  if (owner == nullptr || owner->name != choice.tenant) return "the VM is no longer this tenant's";
  if (!offers(*owner, choice.module)) return "the module is no longer offered";
  const About about{domain->domain, {domain->name, domain->tags}};
  bool granted = false;
  for (const auto interface : kGrantableInterfaces) {
    const Ruling ruling = grants_.rule(choice.module, &about, interface);
    if (ruling == Ruling::allowed) return {};
    granted = granted || ruling != Ruling::not_granted;
  }
  return granted ? "an operator withdrew all that is granted to it" : "no [[grant]] lets the module act on the VM";
}

// The same words for a VM that is another's and for one that is not there: a tenant
// learns nothing of the others.
Status TenantService::check_offer(const TenantChoice& request, std::string& vm) {
  const std::string tenant = "choose module: tenant \"" + short_name(request.tenant) + "\"";
  const auto policy = grants_.current();
  const TenantRule* rule = policy ? policy->tenant(request.tenant) : nullptr;
  if (rule == nullptr) return fail(Code::denied, tenant + " is none of the policy in force");
  if (!offers(*rule, request.module))
    return fail(Code::denied, tenant + " is not offered \"" + short_name(request.module) + "\"");
  VMSEC_TRY(const auto domains, list_domains(capabilities_));
  const DomainInfo* domain = find_domain(domains, request.domain);
  if (domain == nullptr || policy->tenant_of(domain->name, domain->tags) != rule)
    return fail(Code::denied, tenant + " has no VM " + request.domain.text());
  vm = domain->name;
  return {};
}

Result<Empty> TenantService::choose(const TenantChoice& request, const std::string& who) {
  TenantChoice choice{request.tenant, request.domain, request.module, who, system_now()};
  if (const Status good = check_choice(choice); !good) return fail(good.error().in("choose module"));
  std::string vm;
  if (const Status offered = check_offer(request, vm); !offered) {
    if (offered.error().code == Code::denied && refused_)
      refused_(request.tenant,
               {"tenant.choose", Outcome::refused, request.domain, {}, offered.error().message + "; by " + who});
    return fail(offered.error());
  }
  bool stood = false;
  const auto change = [&](GrantState& state) -> Status {
    const auto found = std::ranges::find_if(state.choices, [&](const auto& each) { return is_of(each, choice); });
    stood = found != state.choices.end() && found->tenant == choice.tenant;
    if (stood) return {};
    if (found != state.choices.end()) state.choices.erase(found);  // of who had the VM before
    if (state.choices.size() >= GrantStateLimits::kChoices)
      return fail(Code::limit_exceeded, "choose module: " + std::to_string(GrantStateLimits::kChoices) +
                                            " choices stand already; drop those of VMs that are gone");
    state.choices.push_back(choice);
    return {};
  };
  const std::string what = text_of_choice(choice, vm, "chooses") + "; by " + who;
  const auto recorded = [&]() -> Status {
    return stood ? Status() : record_({"tenant.choose", Outcome::unknown, choice.domain, {}, "begins: " + what});
  };
  const Status given = ledger_.give(change, recorded);
  if (stood && given) return Empty{};
  const Status ended = record_({"tenant.choose",
                                given ? Outcome::succeeded : Outcome::failed,
                                choice.domain,
                                {},
                                given ? what : what + "; " + given.error().message});
  if (!given) return fail(given.error());
  if (!ended) return fail(ended.error().in(what + ": done, but its end is not recorded"));
  return Empty{};
}

Result<Empty> TenantService::drop(const TenantChoice& request, const std::string& who) {
  bool found = false;
  const Status kept = ledger_.take([&](GrantState& state) -> Status {
    found = std::erase_if(state.choices, [&](const TenantChoice& each) {
              return is_of(each, request) && each.tenant == request.tenant;
            }) > 0;
    if (found) return {};
    return fail(Code::not_found, "drop module: tenant \"" + short_name(request.tenant) + "\" has not chosen \"" +
                                     short_name(request.module) + "\" for VM " + request.domain.text());
  });
  if (!found) return fail(kept.error());
  const std::string what = text_of_choice(request, {}, "drops") + "; by " + who;
  const Status recorded = record_({"tenant.drop", Outcome::succeeded, request.domain, {}, what});
  if (!kept) return fail(kept.error().in(what + ": it holds until the agent ends, but is not on the disk"));
  if (!recorded) return fail(recorded.error().in(what + ": done, but not recorded"));
  return Empty{};
}

}  // namespace vmsec::host
