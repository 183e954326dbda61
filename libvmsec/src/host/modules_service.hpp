// vmsec.Modules: one module asks another, through the Host.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>

#include "host/connections.hpp"
#include "loader/manifest.hpp"
#include "vmsec/service/attestation.hpp"
#include "vmsec/service/guest_attestation.hpp"
#include "vmsec/service/modules.hpp"

namespace vmsec::host {

using CallProvider = std::function<Result<Packet>(std::string_view interface, std::uint32_t method, Packet)>;
// Which module provides an interface.
using NameProvider = std::function<Result<std::string>(std::string_view interface)>;

// How deep modules ask each other: each step holds a line to a process until it is answered.
inline constexpr int kDeepestAsk = 8;
inline thread_local int asks_under_way = 0;

// Whatever a manifest asks for: some methods are for who operates the host.
inline bool is_for_modules(std::string_view interface, std::uint32_t method) {
  const auto name = interface.substr(interface.find(':') + 1);
  if (name == Methods<Attestation>::kName) return Methods<Attestation>::for_modules(method);
  if (name == Methods<GuestAttestation>::kName) return Methods<GuestAttestation>::for_modules(method);
  return true;
}

class ModulesService final : public Modules {
 public:
  ModulesService(const loader::Manifest& caller, Connections& connections, NameProvider name_provider,
                 CallProvider call_provider)
      : caller_(caller),
        connections_(connections),
        name_provider_(std::move(name_provider)),
        call_provider_(std::move(call_provider)) {}

  Result<ModuleReply> call(const CallModule& request) override {
    if (std::find(caller_.asks.begin(), caller_.asks.end(), request.interface) == caller_.asks.end())
      return fail(Code::denied, "module " + caller_.name + " may not ask for " + request.interface +
                                    ": its manifest does not name it");
    if (!is_for_modules(request.interface, request.method))
      return fail(Code::denied, "module " + caller_.name + " may not call method " + std::to_string(request.method) +
                                    " of " + request.interface + ": it is for who operates the host");
    if (asks_under_way >= kDeepestAsk)
      return fail(Code::limit_exceeded, "module " + caller_.name + " asks for " + request.interface + ": modules ask " +
                                            std::to_string(kDeepestAsk) + " deep at most");
    ++asks_under_way;
    const std::unique_ptr<int, void (*)(int*)> leave(&asks_under_way, [](int* asks) { --*asks; });
    std::optional<Connections::Loan> loan;
    if (request.connection != 0) {
      VMSEC_TRY(const std::string provider, name_provider_(request.interface));
      VMSEC_TRY(auto lent, connections_.lend(request.connection, caller_.name, provider));
      loan.emplace(std::move(lent));
    }
    VMSEC_TRY(Packet reply, call_provider_(request.interface, request.method, Packet{request.payload, {}}));
    return ModuleReply{std::move(reply.bytes)};
  }

 private:
  const loader::Manifest caller_;
  Connections& connections_;
  const NameProvider name_provider_;
  const CallProvider call_provider_;
};

}  // namespace vmsec::host
