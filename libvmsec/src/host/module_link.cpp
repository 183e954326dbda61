#include "host/module_link.hpp"

#include <algorithm>

#include "vmsec/module.hpp"

namespace vmsec::host {
namespace {

// Beyond this many, what is withdrawn is answered as if it had never been granted.
constexpr std::size_t kMaximumRemembered = 4096;

}  // namespace

void Grants::replace(Policy policy) {
  auto fresh = std::make_shared<const Policy>(std::move(policy));
  const std::lock_guard lock(mutex_);
  policy_ = std::move(fresh);
}

std::shared_ptr<const Policy> Grants::current() const {
  const std::lock_guard lock(mutex_);
  return policy_;
}

bool Grants::allows(const std::string& module, const DomainName* domain, std::string_view interface) const {
  const auto policy = current();
  if (!policy) return all_without_policy_;
  if (domain == nullptr) return policy->grants_any(module, interface);
  return policy->grants(module, domain->name, domain->tags, interface);
}

ModuleLink::ModuleLink(loader::Manifest manifest, Capabilities& capabilities, const Grants& grants, Refused refused,
                       std::function<Status(const AuditEntry&)> record)
    : manifest_(std::move(manifest)),
      capabilities_(capabilities),
      grants_(grants),
      refused_(std::move(refused)),
      record_(std::move(record)) {}

void ModuleLink::offer(std::string interface, std::unique_ptr<Endpoint> service) {
  services_[std::move(interface)] = std::move(service);
}

vmsec_host ModuleLink::host() {
  return {sizeof(vmsec_host), VMSEC_ABI_MAJOR, VMSEC_ABI_MINOR, this, &ModuleLink::entry};
}

void ModuleLink::entry(void* context, const vmsec_call* call, vmsec_reply* reply) {
  auto& self = *static_cast<ModuleLink*>(context);
  Packet request = sdk::packet_of(*call);
  const auto answer = [&]() -> Result<Packet> {
    try {
      if (call->handle != 0) return self.call_handle(call->handle, call->method, std::move(request));
      if (call->method == 1) return self.open_handle(std::move(request));
      return fail(Code::unsupported, "the host has no method " + std::to_string(call->method));
    } catch (const std::exception& error) {
      return fail(Code::internal, std::string("the host threw: ") + error.what());
    }
  };
  sdk::answer(*reply, answer());
}

// The manifest says what a module may ever open; the policy, checked at each
// call, what it may use on which domain.
Result<Packet> ModuleLink::open_handle(Packet request) {
  VMSEC_TRY(const OpenHandle open, wire::unpack<OpenHandle>(std::move(request)));
  if (std::ranges::find(manifest_.needs, open.interface) == manifest_.needs.end())
    return refuse(Code::denied, open.interface, 0, Uuid(), "its manifest does not need it");
  if (!services_.contains(open.interface) && !Capabilities::is_capability(open.interface))
    return fail(Code::not_found,
                "module " + manifest_.name + " opens " + open.interface + ": this host has no such interface");
  const std::lock_guard lock(mutex_);
  auto found = std::ranges::find(handles_, open.interface);
  if (found == handles_.end()) found = handles_.insert(found, open.interface);
  return wire::pack(HandleReply{static_cast<std::uint32_t>(found - handles_.begin() + 1), 1});
}

Result<Packet> ModuleLink::call_handle(std::uint64_t handle, std::uint32_t method, Packet request) {
  std::string interface;
  {
    const std::lock_guard lock(mutex_);
    const std::uint64_t id = handle >> 32;
    if (id == 0 || id > handles_.size() || (handle & 0xffffffffu) != 1)
      return fail(Code::revoked, "module " + manifest_.name + " calls a handle that it does not have");
    interface = handles_[id - 1];
  }
  const auto service = services_.find(interface);
  if (service != services_.end()) return service->second->call(method, std::move(request));
  const Caller caller{[&](std::string_view name, const Uuid* domain) { return check(name, method, domain); },
                      [&](const DomainName& name) { return grants_.allows(manifest_.name, &name, interface); }, record_,
                      Caller::Kind::module};
  return capabilities_.call(interface, method, std::move(request), caller);
}

Status ModuleLink::check(std::string_view interface, std::uint32_t method, const Uuid* domain) {
  const Uuid about = domain != nullptr ? *domain : Uuid();
  const DomainName name = domain != nullptr ? capabilities_.names().of(*domain) : DomainName();
  if (!grants_.allows(manifest_.name, domain != nullptr ? &name : nullptr, interface))
    return refuse_use(interface, method, about,
                      domain != nullptr ? "on domain \"" + name.name + "\"" : "on any domain");
  const std::lock_guard lock(mutex_);
  if (used_.size() < kMaximumRemembered) used_.emplace(interface, about);
  return {};
}

Status ModuleLink::refuse_use(std::string_view interface, std::uint32_t method, const Uuid& domain,
                              const std::string& where) {
  bool before = false;
  {
    const std::lock_guard lock(mutex_);
    before = used_.contains(std::pair(std::string(interface), domain));
  }
  if (before) return refuse(Code::revoked, interface, method, domain, "the policy no longer grants it " + where);
  return refuse(Code::denied, interface, method, domain, "the policy does not grant it " + where);
}

std::unexpected<Error> ModuleLink::refuse(Code code, std::string_view interface, std::uint32_t method,
                                          const Uuid& domain, const std::string& cause) {
  if (refused_) refused_(manifest_.name, interface, method, domain, cause);
  return fail(code, "module " + manifest_.name + " may not use " + std::string(interface) + ": " + cause);
}

}  // namespace vmsec::host
