#include "host/module_link.hpp"

#include <algorithm>

#include "vmsec/module.hpp"

namespace vmsec::host {
namespace {

// Beyond this many, what is withdrawn is answered as if it had never been granted.
constexpr std::size_t kMaximumRemembered = 4096;

thread_local const Policy* preview = nullptr;

bool gives(const GrantRule& rule, std::string_view interface) {
  return std::ranges::find(rule.interfaces, interface) != rule.interfaces.end();
}

}  // namespace

Grants::Preview::Preview(const Policy& policy) { preview = &policy; }
Grants::Preview::~Preview() { preview = nullptr; }
bool Grants::previewing() { return preview != nullptr; }

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
  const auto in_force = current();
  const Policy* policy = preview != nullptr ? preview : in_force.get();
  if (policy == nullptr) return all_without_policy_;
  if (domain == nullptr) return policy->grants_any(module, interface);
  return policy->grants(module, domain->name, domain->tags, interface);
}

std::string Grants::advice(const std::string& module, const DomainName* domain, std::string_view interface) const {
  const auto policy = current();
  const std::string quoted = "\"" + std::string(interface) + "\"";
  // The first rule that matches decides: another one behind it would change nothing.
  if (policy && domain != nullptr)
    for (const GrantRule& rule : policy->grant_rules())
      if (rule.module == module && rule.selector.matches(domain->name, domain->tags) && !gives(rule, interface))
        return "add " + quoted + " to its [[grant]] at line " + std::to_string(rule.line);
  return "add [[grant]] module = \"" + module + "\" vm = \"" + (domain == nullptr ? "*" : domain->name) +
         "\" interfaces = [" + quoted + "]";
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
  if (!Capabilities::is_for_modules(open.interface))
    return refuse(Code::denied, open.interface, 0, Uuid(), std::string(kOperatorsReason));
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
                      Caller::Kind::module, Grants::previewing() ? Caller::Leave::to_look : Caller::Leave::to_act};
  return capabilities_.call(interface, method, std::move(request), caller);
}

Status ModuleLink::check(std::string_view interface, std::uint32_t method, const Uuid* domain) {
  const Uuid about = domain != nullptr ? *domain : Uuid();
  const DomainName name = domain != nullptr ? capabilities_.names().of(*domain) : DomainName();
  const DomainName* known = domain != nullptr ? &name : nullptr;
  if (!grants_.allows(manifest_.name, known, interface)) return refuse_use(interface, method, about, known);
  if (Grants::previewing()) return {};
  const std::lock_guard lock(mutex_);
  if (used_.size() < kMaximumRemembered) used_.emplace(interface, about);
  return {};
}

Status ModuleLink::refuse_use(std::string_view interface, std::uint32_t method, const Uuid& domain,
                              const DomainName* name) {
  const std::string where = name != nullptr ? "on domain \"" + name->name + "\"" : "on any domain";
  if (Grants::previewing()) return fail(Code::denied, "this policy does not grant it " + where);
  bool before = false;
  {
    const std::lock_guard lock(mutex_);
    before = used_.contains(std::pair(std::string(interface), domain));
  }
  const std::string advice = ": " + grants_.advice(manifest_.name, name, interface);
  if (before)
    return refuse(Code::revoked, interface, method, domain, "the policy no longer grants it " + where + advice);
  return refuse(Code::denied, interface, method, domain, "the policy does not grant it " + where + advice);
}

std::unexpected<Error> ModuleLink::refuse(Code code, std::string_view interface, std::uint32_t method,
                                          const Uuid& domain, const std::string& cause) {
  if (refused_) refused_(manifest_.name, interface, method, domain, cause);
  std::string what = std::string(interface);
  if (method != 0) what += "." + Capabilities::method_name(interface, method);
  if (!grants_.host().empty()) what += " on " + grants_.host();
  return fail(code, "module " + manifest_.name + " may not use " + what + ": " + cause);
}

}  // namespace vmsec::host
