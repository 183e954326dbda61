#include "host/grant_service.hpp"

#include <algorithm>

#include "vmsec/capability/memory_access.hpp"
#include "vmsec/identity.hpp"

namespace vmsec::host {
namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

void name_domains(Withdrawal& withdrawal, const std::vector<DomainInfo>& domains) {
  const Selector selector = selector_of(withdrawal);
  for (const DomainInfo& each : domains)
    if (selector.matches(each.name, each.tags)) {
      withdrawal.domains.push_back(each.name);
      withdrawal.here.push_back({each.domain, each.name});
    }
}

bool are_of_one_kind(const Withdrawal& a, const Withdrawal& b) {
  return a.module == b.module && a.vm == b.vm && a.tag == b.tag && a.interfaces == b.interfaces;
}

// Whether the rule gives something that the withdrawal takes.
bool takes_of(const Withdrawal& withdrawal, const GrantRule& rule) {
  if (rule.module != withdrawal.module || rule.interfaces.empty()) return false;
  if (withdrawal.interfaces.empty()) return true;
  return std::ranges::any_of(rule.interfaces, [&](const std::string& each) {
    return std::ranges::find(withdrawal.interfaces, each) != withdrawal.interfaces.end();
  });
}

}  // namespace

std::string pattern_of(const Selector& selector, Selector::By by) {
  return selector.by == by ? selector.pattern : std::string();
}

Result<std::vector<DomainInfo>> list_domains(Capabilities& capabilities) {
  VMSEC_TRY(Packet packet, capabilities.call(Methods<DomainControl>::kName, 1, wire::pack(Empty{}), Caller::host()));
  VMSEC_TRY(auto list, wire::unpack<DomainList>(std::move(packet)));
  return std::move(list.domains);
}

std::string text_of(const Withdrawal& withdrawal) {
  return "withdrawal " + std::to_string(withdrawal.id) + ": module \"" + withdrawal.module + "\" on " +
         selector_of(withdrawal).text() + ": " +
         (withdrawal.interfaces.empty() ? "all interfaces" : joined(withdrawal.interfaces));
}

std::vector<Withdrawal> withdrawn_of(const Policy& policy, const GrantState& state,
                                     const std::vector<DomainInfo>& domains) {
  std::vector<Withdrawal> out;
  for (const Withdrawal& each : state.withdrawals) {
    const auto taken = [&](const GrantRule& rule) { return takes_of(each, rule); };
    if (std::ranges::none_of(policy.grant_rules(), taken)) continue;
    out.push_back(each);
    name_domains(out.back(), domains);
  }
  return out;
}

Result<GrantList> GrantService::list() {
  GrantList list;
  if (const auto policy = grants_.current())
    for (const GrantRule& rule : policy->grant_rules())
      list.grants.push_back({rule.module, rule.selector.text(), rule.interfaces,
                             pattern_of(rule.selector, Selector::By::name),
                             pattern_of(rule.selector, Selector::By::tag)});
  list.withdrawals = withdrawals();
  return list;
}

std::vector<Withdrawal> GrantService::withdrawals() {
  std::vector<Withdrawal> out = grants_.standing()->withdrawals;
  if (out.empty()) return out;
  // What stands is told without the hypervisor as well.
  const auto domains = list_domains(capabilities_).value_or(std::vector<DomainInfo>());
  for (Withdrawal& each : out) describe(each, domains);
  return out;
}

void GrantService::describe(Withdrawal& withdrawal, const std::vector<DomainInfo>& domains) {
  name_domains(withdrawal, domains);
  const auto& taken = withdrawal.interfaces;
  if (!taken.empty() && std::ranges::find(taken, Methods<MemoryAccess>::kName) == taken.end()) return;
  for (const auto& module : registry_.modules())
    if (module->manifest().name == withdrawal.module) withdrawal.keeps_memory = module->link->has_mapped_memory();
}

// A name with a slip of the pen would leave its author believing in a withdrawal.
Status GrantService::check_module(const std::string& name) {
  std::string loaded;
  for (const auto& module : registry_.modules()) {
    if (module->manifest().name == name) return {};
    loaded += (loaded.empty() ? "" : ", ") + module->manifest().name;
  }
  return fail(Code::not_found, "revoke grant: no module \"" + name.substr(0, GrantStateLimits::kName) +
                                   "\" is loaded; there are " + (loaded.empty() ? "none" : loaded));
}

Result<Withdrawal> GrantService::revoke(const GrantRevocation& request, const std::string& who) {
  VMSEC_CHECK(check_module(request.module));
  Withdrawal withdrawal{0,   request.module, request.vm, request.tag, request.interfaces, request.reason,
                        who, system_now(),   {}};
  if (request.vm.empty() && request.tag.empty()) withdrawal.vm = "*";
  if (const Status good = check_withdrawal(withdrawal); !good) return fail(good.error().in("revoke grant"));
  bool stood = false;
  const Status kept = ledger_.take([&](GrantState& state) -> Status {
    for (const Withdrawal& each : state.withdrawals)
      if (are_of_one_kind(each, withdrawal)) {
        withdrawal = each;
        stood = true;
        return {};
      }
    if (state.withdrawals.size() >= GrantStateLimits::kWithdrawals)
      return fail(Code::limit_exceeded, "revoke grant: " + std::to_string(GrantStateLimits::kWithdrawals) +
                                            " withdrawals stand already; one for more VMs takes the place of many");
    withdrawal.id = ++state.last_id;
    state.withdrawals.push_back(withdrawal);
    return {};
  });
  if (withdrawal.id == 0) return fail(kept.error());
  const std::string what = text_of(withdrawal);
  const Status recorded =
      stood ? Status()
            : record_({"grant.revoke", Outcome::succeeded, {}, {}, what + "; by " + who + ": " + request.reason});
  if (!kept) return fail(kept.error().in(what + ": it holds until the agent ends, but is not on the disk"));
  if (!recorded) return fail(recorded.error().in(what + ": done, but not recorded"));
  describe(withdrawal, list_domains(capabilities_).value_or(std::vector<DomainInfo>()));
  return withdrawal;
}

Result<Withdrawal> GrantService::restore(const GrantRestoration& request, const std::string& who) {
  Withdrawal ended;
  std::string what;
  const auto change = [&](GrantState& state) -> Status {
    const auto found = std::ranges::find(state.withdrawals, request.id, &Withdrawal::id);
    if (found == state.withdrawals.end())
      return fail(Code::not_found, "restore grant: there is no withdrawal " + std::to_string(request.id));
    ended = *found;
    Withdrawal asked = ended;
    asked.reason = request.reason;
    asked.by = who;
    if (const Status good = check_withdrawal(asked); !good) return fail(good.error().in("restore grant"));
    what = text_of(ended) + "; by " + who + ": " + request.reason;
    state.withdrawals.erase(found);
    return {};
  };
  const auto begins = [&] { return record_({"grant.restore", Outcome::unknown, {}, {}, "begins: " + what}); };
  const Status given = ledger_.give(change, begins);
  if (what.empty()) return fail(given.error());
  if (!given) {
    std::ignore = record_({"grant.restore", Outcome::failed, {}, {}, what + "; " + given.error().message});
    return fail(given.error().in("restore grant: withdrawal " + std::to_string(request.id) + " stands"));
  }
  if (const Status recorded = record_({"grant.restore", Outcome::succeeded, {}, {}, what}); !recorded)
    return fail(recorded.error().in(what + ": done, but its end is not recorded"));
  if (const auto domains = list_domains(capabilities_)) name_domains(ended, *domains);
  return ended;
}

}  // namespace vmsec::host
