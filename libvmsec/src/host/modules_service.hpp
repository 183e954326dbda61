// vmsec.Modules: one module asks another, through the Host.
#pragma once

#include <algorithm>
#include <functional>

#include "loader/manifest.hpp"
#include "vmsec/service/modules.hpp"

namespace vmsec::host {

using CallProvider = std::function<Result<Packet>(std::string_view interface, std::uint32_t method, Packet)>;

class ModulesService final : public Modules {
 public:
  ModulesService(const loader::Manifest& caller, CallProvider call_provider)
      : caller_(caller), call_provider_(std::move(call_provider)) {}

  Result<ModuleReply> call(const CallModule& request) override {
    if (std::find(caller_.asks.begin(), caller_.asks.end(), request.interface) == caller_.asks.end())
      return fail(Code::denied, "module " + caller_.name + " may not ask for " + request.interface +
                                    ": its manifest does not name it");
    VMSEC_TRY(Packet reply, call_provider_(request.interface, request.method, Packet{request.payload, {}}));
    return ModuleReply{std::move(reply.bytes)};
  }

 private:
  const loader::Manifest caller_;
  const CallProvider call_provider_;
};

}  // namespace vmsec::host
