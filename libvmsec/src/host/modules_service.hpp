// vmsec.Modules: one module asks another, through the Host.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>

#include "loader/manifest.hpp"
#include "vmsec/service/modules.hpp"

namespace vmsec::host {

using CallProvider = std::function<Result<Packet>(std::string_view interface, std::uint32_t method, Packet)>;

// How deep modules ask each other: each step holds a line to a process until it is answered.
inline constexpr int kDeepestAsk = 8;
inline thread_local int asks_under_way = 0;

class ModulesService final : public Modules {
 public:
  ModulesService(const loader::Manifest& caller, CallProvider call_provider)
      : caller_(caller), call_provider_(std::move(call_provider)) {}

  Result<ModuleReply> call(const CallModule& request) override {
    if (std::find(caller_.asks.begin(), caller_.asks.end(), request.interface) == caller_.asks.end())
      return fail(Code::denied, "module " + caller_.name + " may not ask for " + request.interface +
                                    ": its manifest does not name it");
    if (asks_under_way >= kDeepestAsk)
      return fail(Code::limit_exceeded, "module " + caller_.name + " asks for " + request.interface + ": modules ask " +
                                            std::to_string(kDeepestAsk) + " deep at most");
    ++asks_under_way;
    const std::unique_ptr<int, void (*)(int*)> leave(&asks_under_way, [](int* asks) { --*asks; });
    VMSEC_TRY(Packet reply, call_provider_(request.interface, request.method, Packet{request.payload, {}}));
    return ModuleReply{std::move(reply.bytes)};
  }

 private:
  const loader::Manifest caller_;
  const CallProvider call_provider_;
};

}  // namespace vmsec::host
