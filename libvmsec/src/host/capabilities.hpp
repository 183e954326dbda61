// The backend's capabilities by name, with the check of grants in one place.
#pragma once

#include <functional>
#include <string_view>

#include "host/domain_names.hpp"
#include "vmsec/backend.hpp"
#include "vmsec/export.hpp"
#include "vmsec/service/journal.hpp"

namespace vmsec::host {

// Who calls, and what it may.
struct Caller {
  // May it use the interface on this domain? `domain` is null for a call that is
  // about no single domain.
  std::function<Status(std::string_view interface, const Uuid* domain)> check;
  // Does it see this domain in a list, and its events?
  std::function<bool(const About&)> sees;
  // Writes its acts down: before one happens, with the outcome `unknown`, and how
  // it ended. An act that cannot be written down does not happen. Empty: nobody does.
  std::function<Status(const AuditEntry&)> record = {};
  // Modules tell of what they do with limits and migrations themselves, and better.
  enum class Kind { other, module };
  Kind kind = Kind::other;
  // Whether it may act, or only look (while a policy is compared with what is).
  enum class Leave { to_act, to_look };
  Leave leave = Leave::to_act;
  // The host itself: everything.
  static Caller host() {
    return {[](std::string_view, const Uuid*) { return Status(); }, [](const About&) { return true; }};
  }
};

// The number of a method by its name, which must be in the interface's table.
template <class I>
consteval std::uint32_t number_of(std::string_view name) {
  std::uint32_t number = 0;
  for_each_method<I>([&](const auto& method) {
    if (method.name == name) number = method.number;
  });
  if (number == 0) throw "no such method";  // does not compile
  return number;
}

class VMSEC_EXPORT Capabilities {
 public:
  explicit Capabilities(Backend& backend) : backend_(backend), names_(domains_of(backend)) {}

  [[nodiscard]] static bool is_capability(std::string_view interface);
  // Some are for who operates the host, whatever a policy grants.
  [[nodiscard]] static bool is_for_modules(std::string_view interface);
  // Is it there on this backend? The error says why not.
  Status available(std::string_view interface);
  // Checks the request's domain before the backend sees it. Of a list of domains
  // or events, the caller gets those of domains that it may use.
  Result<Packet> call(std::string_view interface, std::uint32_t method, Packet request, const Caller& caller);
  // "vmsec.MemoryAccess.Read", or one name for all that there is not: of a number that no
  // caller can grow. Method 0: the interface alone.
  [[nodiscard]] static std::string call_name(std::string_view interface, std::uint32_t method);
  // "Pause", of capabilities and of the core's services; the number's digits where the interface has no such method.
  [[nodiscard]] static std::string method_name(std::string_view interface, std::uint32_t number);
  DomainNames& names() { return names_; }

 private:
  static DomainControl* domains_of(Backend& backend);

  Backend& backend_;
  DomainNames names_;
};

}  // namespace vmsec::host
