#include "host/capabilities.hpp"

#include <algorithm>

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
}

// The calls that end a migration may come when its domain is gone from here, or
// never arrived, and from a process that was started again: so its name is kept.
template <class M>
constexpr bool kBeginsMigration = std::is_same_v<M, PrepareIncoming> || std::is_same_v<M, StartOutgoing>;

template <class I>
Result<Packet> call_capability(I& capability, std::uint32_t number, Packet request, const Caller& caller,
                               DomainNames& names) {
  return dispatch(capability, number, std::move(request), [&](const auto&, const auto& message) -> Status {
    constexpr std::string_view kInterface = Methods<I>::kName;
    if constexpr (requires { message.description.name; }) names.announce(message.domain, message.description.name);
    if constexpr (requires { message.domain; })
      VMSEC_CHECK(caller.check(kInterface, &message.domain));
    else
      VMSEC_CHECK(caller.check(kInterface, nullptr));
    if constexpr (kBeginsMigration<std::remove_cvref_t<decltype(message)>>) return names.keep(message.domain);
    return {};
  });
}

// A list shows a caller only the domains that it may use.
Result<Packet> keep_visible_domains(Packet list, const Caller& caller) {
  VMSEC_TRY(auto domains, wire::unpack<DomainList>(std::move(list)));
  std::erase_if(domains.domains, [&](const DomainInfo& info) { return !caller.sees({info.name, info.tags}); });
  return wire::pack(std::move(domains));
}

// And only those domains' events, beside those that are about no domain.
Result<Packet> keep_visible_events(Packet list, const Caller& caller, DomainNames& names) {
  VMSEC_TRY(auto events, wire::unpack<EventList>(std::move(list)));
  std::erase_if(events.events, [&](const Event& event) {
    return !event.domain.is_nil() && !caller.sees({event.name, names.of(event.domain).tags});
  });
  return wire::pack(std::move(events));
}

template <class I, std::size_t kPlace>
constexpr std::uint32_t kNumberOf = std::get<kPlace>(Methods<I>::table()).number;

}  // namespace

bool Capabilities::is_capability(std::string_view interface) {
  bool found = false;
  for_each_capability([&](std::string_view name, auto) { found = found || name == interface; });
  return found;
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
  Result<Packet> answer = fail(Code::not_found, std::string(interface) + " is no capability");
  for_each_capability([&](std::string_view name, auto accessor) {
    if (name != interface) return;
    auto capability = (backend_.*accessor)();
    answer = capability ? call_capability(**capability, method, std::move(request), caller, names_)
                        : Result<Packet>(fail(capability.error()));
  });
  if (!answer) return answer;
  if (interface == Methods<DomainControl>::kName && method == kNumberOf<DomainControl, 0>)
    return keep_visible_domains(std::move(*answer), caller);
  if (interface == Methods<Events>::kName && method == kNumberOf<Events, 0>)
    return keep_visible_events(std::move(*answer), caller, names_);
  return answer;
}

DomainControl* Capabilities::domains_of(Backend& backend) {
  auto domains = backend.domain_control();
  return domains ? *domains : nullptr;
}

}  // namespace vmsec::host
