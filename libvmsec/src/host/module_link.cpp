#include "host/module_link.hpp"

#include <algorithm>
#include <optional>

#include "vmsec/module.hpp"

namespace vmsec::host {
namespace {

// Beyond this many, what is withdrawn is answered as if it had never been granted.
constexpr std::size_t kMaximumRemembered = 4096;
constexpr std::size_t kLongestName = 128;

}  // namespace

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
  return wire::pack(HandleReply{static_cast<std::uint32_t>(found - handles_.begin() + 1), generation_});
}

void ModuleLink::release() {
  {
    const std::lock_guard lock(mutex_);
    handles_.clear();
    ++generation_;
  }
  mapped_ = false;  // its process is gone, and its mappings with it
  sessions_.end_all(capabilities_, [this](const AuditEntry& entry) { return record_ ? record_(entry) : Status(); });
}

// Empty where it is no handle of this module's.
std::string ModuleLink::interface_of(std::uint64_t handle) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t id = handle >> 32;
  if (id == 0 || id > handles_.size() || (handle & 0xffffffffu) != generation_) return {};
  return handles_[id - 1];
}

Result<Packet> ModuleLink::call_handle(std::uint64_t handle, std::uint32_t method, Packet request) {
  const std::string interface = interface_of(handle);
  if (interface.empty())
    return refuse(Code::revoked, "a handle", 0, Uuid(), "the module calls a handle that it does not have");
  const auto service = services_.find(interface);
  if (service != services_.end()) return call_service(interface, *service->second, method, std::move(request));
  return call_capability(interface, method, std::move(request));
}

Result<Packet> ModuleLink::call_service(const std::string& interface, Endpoint& service, std::uint32_t method,
                                        Packet request) {
  auto answer = service.call(method, std::move(request));
  if (!answer && answer.error().code == Code::denied && refused_)
    refused_(manifest_.name, interface, method, Uuid(), answer.error().message);
  return answer;
}

Result<Packet> ModuleLink::call_capability(const std::string& interface, std::uint32_t method, Packet request) {
  const bool looks = Grants::previewing();
  std::optional<About> about;
  bool checked = false;
  const auto check_call = [&](std::string_view name, const Uuid* domain) -> Status {
    if (domain != nullptr) about = About{*domain, capabilities_.names().of(*domain)};
    VMSEC_CHECK(check(name, method, about ? &*about : nullptr));
    checked = true;
    return {};
  };
  const Caller caller{check_call, [&](const About& each) { return grants_.allows(manifest_.name, &each, interface); },
                      record_, Caller::Kind::module, looks ? Caller::Leave::to_look : Caller::Leave::to_act};
  const bool migrates = interface == Methods<Migration>::kName;
  const HeldSessions::Step step = migrates ? HeldSessions::read(method, request.bytes) : HeldSessions::Step();
  auto answer = capabilities_.call(interface, method, std::move(request), caller);
  if (migrates) sessions_.note(step, answer);
  if (answer && about && migrates) begun_.note(method, about->domain);
  if (answer && interface == Methods<MemoryAccess>::kName && Capabilities::method_name(interface, method) == "Map")
    mapped_ = true;
  // It was let look, and tried to act.
  if (!answer && looks && checked && answer.error().code == Code::denied && refused_)
    refused_(manifest_.name, interface, method, about ? about->domain : Uuid(), answer.error().message);
  return answer;
}

Status ModuleLink::check(std::string_view interface, std::uint32_t method, const About* about) {
  const Ruling ruling = grants_.rule(manifest_.name, about, interface);
  if (ruling != Ruling::allowed) {
    const bool taken = ruling == Ruling::withdrawn || ruling == Ruling::not_chosen;
    // What has begun ends as it would: a guest between two hosts would be lost.
    if (taken && about != nullptr && interface == Methods<Migration>::kName && begun_.goes_on(method, about->domain))
      return {};
    return refuse_use(ruling, interface, method, about);
  }
  if (Grants::previewing()) return {};
  const std::lock_guard lock(mutex_);
  if (used_.size() < kMaximumRemembered) used_.emplace(interface, about != nullptr ? about->domain : Uuid());
  return {};
}

Status ModuleLink::refuse_use(Ruling ruling, std::string_view interface, std::uint32_t method, const About* about) {
  const Uuid domain = about != nullptr ? about->domain : Uuid();
  const std::string where = about != nullptr ? "on domain \"" + about->name.name + "\"" : "on any domain";
  if (ruling != Ruling::not_granted) {
    const std::string cause = grants_.explain(ruling, manifest_.name, about, interface);
    return refuse(ruling == Ruling::withdrawn || was_used(interface, domain) ? Code::revoked : Code::denied, interface,
                  method, domain, cause);
  }
  if (Grants::previewing()) return fail(Code::denied, "this policy does not grant it " + where);
  const std::string advice = ": " + grants_.advice(manifest_.name, about, interface);
  if (was_used(interface, domain))
    return refuse(Code::revoked, interface, method, domain, "the policy no longer grants it " + where + advice);
  return refuse(Code::denied, interface, method, domain, "the policy does not grant it " + where + advice);
}

bool ModuleLink::was_used(std::string_view interface, const Uuid& domain) {
  const std::lock_guard lock(mutex_);
  return used_.contains(std::pair(std::string(interface), domain));
}

std::unexpected<Error> ModuleLink::refuse(Code code, std::string_view interface, std::uint32_t method,
                                          const Uuid& domain, const std::string& cause) {
  interface = interface.substr(0, kLongestName);  // of a module's making
  if (refused_) refused_(manifest_.name, interface, method, domain, cause);
  std::string what = std::string(interface);
  if (method != 0) what += "." + Capabilities::method_name(interface, method);
  if (!grants_.host().empty()) what += " on " + grants_.host();
  return fail(code, "module " + manifest_.name + " may not use " + what + ": " + cause);
}

}  // namespace vmsec::host
