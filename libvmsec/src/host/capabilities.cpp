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

template <class I>
Result<Packet> call_capability(I& capability, std::uint32_t number, Packet request, const Caller& caller,
                               DomainNames& names) {
  return dispatch(capability, number, std::move(request), [&](const auto&, const auto& message) -> Status {
    constexpr std::string_view kInterface = Methods<I>::kName;
    if constexpr (requires { message.description.name; }) names.announce(message.domain, message.description.name);
    if constexpr (requires { message.domain; })
      return caller.check(kInterface, &message.domain);
    else
      return caller.check(kInterface, nullptr);
  });
}

// A list shows a caller only the domains that it may use.
Result<Packet> keep_visible(Packet list, const Caller& caller) {
  VMSEC_TRY(auto domains, wire::unpack<DomainList>(std::move(list)));
  std::erase_if(domains.domains, [&](const DomainInfo& info) { return !caller.sees(info); });
  return wire::pack(std::move(domains));
}

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
  constexpr std::uint32_t kList = std::get<0>(Methods<DomainControl>::table()).number;
  if (answer && interface == Methods<DomainControl>::kName && method == kList)
    return keep_visible(std::move(*answer), caller);
  return answer;
}

DomainControl* Capabilities::domains_of(Backend& backend) {
  auto domains = backend.domain_control();
  return domains ? *domains : nullptr;
}

}  // namespace vmsec::host
