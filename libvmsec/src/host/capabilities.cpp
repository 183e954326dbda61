#include "host/capabilities.hpp"

#include <algorithm>
#include <optional>

#include "vmsec/policy.hpp"
#include "vmsec/service/authority.hpp"
#include "vmsec/service/modules.hpp"
#include "vmsec/service/peers.hpp"
#include "vmsec/service/records.hpp"

namespace vmsec::host {
namespace {

// Calls visit(name, accessor) for each capability of a backend.
template <class Visit>
void for_each_capability(Visit&& visit) {
  visit(Methods<DomainControl>::kName, &Backend::domain_control);
  visit(Methods<ResourceControl>::kName, &Backend::resource_control);
  visit(Methods<IoControl>::kName, &Backend::io_control);
  visit(Methods<Migration>::kName, &Backend::migration);
  visit(Methods<MemoryAccess>::kName, &Backend::memory_access);
  visit(Methods<BootEvidence>::kName, &Backend::boot_evidence);
  visit(Methods<Events>::kName, &Backend::events);
  visit(Methods<Interchange>::kName, &Backend::interchange);
}

// The calls that end a migration may come when its domain is gone from here, or
// never arrived, and from a process that was started again: so its name is kept.
template <class M>
constexpr bool kBeginsMigration = std::is_same_v<M, PrepareIncoming> || std::is_same_v<M, StartOutgoing>;

// A definition has a UUID, and there need not be such a domain.
template <class M>
constexpr bool kIsAboutDomain = requires(const M& message) { message.domain; } && !std::is_same_v<M, DomainDefinition>;

struct Act {
  std::string_view interface;
  std::string_view method;
  std::string_view action;  // in the audit log
};

constexpr Act kActs[] = {{"vmsec.DomainControl", "Pause", "domain.pause"},
                         {"vmsec.DomainControl", "Resume", "domain.resume"},
                         {"vmsec.ResourceControl", "Set", "domain.set_resources"},
                         {"vmsec.IoControl", "SetDisk", "domain.set_disk"},
                         {"vmsec.IoControl", "SetNic", "domain.set_nic"},
                         {"vmsec.Migration", "Start", "session.start"},
                         {"vmsec.Migration", "Prepare", "session.prepare"},
                         {"vmsec.Migration", "StartPostCopy", "session.post_copy"},
                         {"vmsec.Migration", "Decide", "session.decide"},
                         {"vmsec.Migration", "Cancel", "session.cancel"},
                         {"vmsec.Migration", "Close", "session.close"},
                         {"vmsec.Migration", "Hold", "session.hold"},
                         {"vmsec.Migration", "Activate", "session.activate"},
                         {"vmsec.Migration", "Discard", "session.discard"},
                         {"vmsec.Migration", "Reclaim", "session.reclaim"},
                         {"vmsec.Migration", "Release", "session.release"},
                         {"vmsec.Migration", "Unhold", "session.unhold"},
                         {"vmsec.Interchange", "Define", "domain.define"},
                         {"vmsec.Interchange", "Start", "domain.start"},
                         {"vmsec.Interchange", "Undefine", "domain.undefine"}};

// Null: the call changes nothing.
const Act* act_of(std::string_view interface, std::string_view method) {
  const auto* found =
      std::ranges::find_if(kActs, [&](const Act& act) { return act.interface == interface && act.method == method; });
  return found == std::end(kActs) ? nullptr : found;
}

// Whether the caller's acts of this kind are written down here.
bool is_recorded(const Act& act, const Caller& caller) {
  if (!caller.record) return false;
  return caller.kind == Caller::Kind::other || act.interface == Methods<DomainControl>::kName;
}

Status record_begin(const AuditEntry& entry, const Caller& caller) {
  if (Status begun = caller.record(entry); !begun)
    return fail(begun.error().in(entry.action + ": nothing was changed, as it cannot be recorded"));
  return {};
}

Result<Packet> record_end(Result<Packet> answer, AuditEntry entry, const Caller& caller) {
  entry.outcome = Outcome::succeeded;
  entry.detail.clear();
  if (!answer) {
    entry.outcome = family(answer.error().code) == Family::security ? Outcome::refused : Outcome::failed;
    entry.detail = answer.error().message;
  }
  const Status ended = caller.record(entry);
  if (answer && !ended) return fail(ended.error().in(entry.action + ": done, but its end is not recorded"));
  return answer;
}

// A policy that is only compared grants what settings are, so that they can be compared:
// not what a module could keep when the policy never comes into force.
Status may_show(std::string_view interface, const Caller& caller) {
  if (caller.leave != Caller::Leave::to_look) return {};
  for (const auto kept : {Methods<MemoryAccess>::kName, Methods<BootEvidence>::kName, Methods<Migration>::kName})
    if (interface == kept)
      return fail(Code::denied, std::string(interface) + ": while a policy is compared, it shows nothing");
  return {};
}

template <class I>
Result<Packet> call_capability(I& capability, std::uint32_t number, Packet request, const Caller& caller,
                               DomainNames& names) {
  std::optional<AuditEntry> begun;
  auto before = [&](const auto& method, const auto& message) -> Status {
    constexpr std::string_view kInterface = Methods<I>::kName;
    using Message = std::remove_cvref_t<decltype(message)>;
    if constexpr (requires { message.description.name; }) names.announce(message.domain, message.description.name);
    if constexpr (requires { message.definition.name; }) names.announce(message.domain, message.definition.name);
    if constexpr (!kIsAboutDomain<Message>) {
      VMSEC_CHECK(caller.check(kInterface, nullptr));
      return may_show(kInterface, caller);
    }
    if constexpr (kIsAboutDomain<Message>) {
      const Act* act = act_of(kInterface, method.name);
      VMSEC_CHECK(caller.check(kInterface, &message.domain));
      VMSEC_CHECK(may_show(kInterface, caller));
      if (act != nullptr && caller.leave == Caller::Leave::to_look)
        return fail(Code::denied, std::string(kInterface) + "." + std::string(method.name) +
                                      ": while a policy is compared, nothing is changed");
      if constexpr (kBeginsMigration<Message>) VMSEC_CHECK(names.keep(message.domain));
      if (act != nullptr && is_recorded(*act, caller)) {
        AuditEntry entry{std::string(act->action), Outcome::unknown, message.domain, {}, "begins"};
        VMSEC_CHECK(record_begin(entry, caller));
        begun = std::move(entry);
      }
    }
    return {};
  };
  auto answer = dispatch(capability, number, std::move(request), before);
  if (!begun) return answer;
  return record_end(std::move(answer), std::move(*begun), caller);
}

// A list shows a caller only the domains that it may use.
Result<Packet> keep_visible_domains(Packet list, const Caller& caller) {
  VMSEC_TRY(auto domains, wire::unpack<DomainList>(std::move(list)));
  std::erase_if(domains.domains,
                [&](const DomainInfo& info) { return !caller.sees({info.domain, {info.name, info.tags}}); });
  return wire::pack(std::move(domains));
}

// And only those domains' events, beside those that are about no domain.
Result<Packet> keep_visible_events(Packet list, const Caller& caller, DomainNames& names) {
  VMSEC_TRY(auto events, wire::unpack<EventList>(std::move(list)));
  std::erase_if(events.events, [&](const Event& event) {
    return !event.domain.is_nil() && !caller.sees({event.domain, {event.name, names.of(event.domain).tags}});
  });
  return wire::pack(std::move(events));
}

}  // namespace

bool Capabilities::is_capability(std::string_view interface) {
  bool found = false;
  for_each_capability([&](std::string_view name, auto) { found = found || name == interface; });
  return found;
}

bool Capabilities::is_for_modules(std::string_view interface) {
  return std::ranges::find(kOperatorsInterfaces, interface) == kOperatorsInterfaces.end();
}

namespace {

// What is known by these two; empty: nothing is.
struct Named {
  std::string interface;
  std::string method;
};

Named find_named(std::string_view interface, std::uint32_t number) {
  Named found;
  const auto look = [&]<class I>(I*) {
    if (Methods<I>::kName != interface) return;
    found.interface = interface;
    for_each_method<I>([&](const auto& method) {
      if (method.number == number) found.method = method.name;
    });
  };
  look(static_cast<DomainControl*>(nullptr));
  look(static_cast<ResourceControl*>(nullptr));
  look(static_cast<IoControl*>(nullptr));
  look(static_cast<Migration*>(nullptr));
  look(static_cast<MemoryAccess*>(nullptr));
  look(static_cast<BootEvidence*>(nullptr));
  look(static_cast<Events*>(nullptr));
  look(static_cast<Interchange*>(nullptr));
  look(static_cast<Authority*>(nullptr));
  look(static_cast<Journal*>(nullptr));
  look(static_cast<Modules*>(nullptr));
  look(static_cast<Peers*>(nullptr));
  look(static_cast<Records*>(nullptr));
  return found;
}

}  // namespace

std::string Capabilities::method_name(std::string_view interface, std::uint32_t number) {
  std::string name = find_named(interface, number).method;
  return name.empty() ? std::to_string(number) : name;
}

std::string Capabilities::call_name(std::string_view interface, std::uint32_t method) {
  const Named named = find_named(interface, method);
  if (named.interface.empty()) return "an unknown interface";
  if (method == 0) return named.interface;
  return named.interface + "." + (named.method.empty() ? "an unknown method" : named.method);
}

Status Capabilities::available(std::string_view interface) {
  Status status = fail(Code::not_found, std::string(interface) + " is no capability");
  for_each_capability([&](std::string_view name, auto accessor) {
    if (name != interface) return;
    const auto capability = (backend_.*accessor)();
    status = capability ? Status() : fail(capability.error());
  });
  return status;
}

Result<Packet> Capabilities::call(std::string_view interface, std::uint32_t method, Packet request,
                                  const Caller& caller) {
  if (caller.kind == Caller::Kind::module && !is_for_modules(interface))
    return fail(Code::denied, std::string(interface) + ": " + std::string(kOperatorsReason));
  Result<Packet> answer = fail(Code::not_found, std::string(interface) + " is no capability");
  for_each_capability([&](std::string_view name, auto accessor) {
    if (name != interface) return;
    auto capability = (backend_.*accessor)();
    answer = capability ? call_capability(**capability, method, std::move(request), caller, names_)
                        : Result<Packet>(fail(capability.error()));
  });
  if (!answer) return answer;
  if (interface == Methods<DomainControl>::kName && method == number_of<DomainControl>("List"))
    return keep_visible_domains(std::move(*answer), caller);
  if (interface == Methods<Events>::kName && method == number_of<Events>("Next"))
    return keep_visible_events(std::move(*answer), caller, names_);
  return answer;
}

DomainControl* Capabilities::domains_of(Backend& backend) {
  auto domains = backend.domain_control();
  return domains ? *domains : nullptr;
}

}  // namespace vmsec::host
