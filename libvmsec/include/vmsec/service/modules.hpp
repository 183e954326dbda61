// One module asks another, through the Host.
#pragma once

#include <string>

#include "vmsec/interface.hpp"

namespace vmsec {

struct CallModule {
  std::string interface;  // "vmsec.Attestation": answered by the module that provides it
  std::uint32_t method = 0;
  std::string payload;
  // Not 0: one that the caller opened (Peers::connect), which the module that answers may
  // use until it has answered.
  std::uint64_t connection = 0;
  static constexpr std::string_view kMessage = "vmsec.CallModule";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "interface", &CallModule::interface),
                        wire::field(2, "method", &CallModule::method), wire::field(3, "payload", &CallModule::payload),
                        wire::field(4, "connection", &CallModule::connection));
  }
};

struct ModuleReply {
  std::string payload;
  static constexpr std::string_view kMessage = "vmsec.ModuleReply";
  static constexpr auto fields() { return wire::fields(wire::field(1, "payload", &ModuleReply::payload)); }
};

// The core's side. `not_found` where no loaded module provides the interface,
// `denied` where the caller's manifest does not name it, or the connection is not its own.
class Modules {
 public:
  virtual ~Modules() = default;
  virtual Result<ModuleReply> call(const CallModule&) = 0;
};

template <>
struct Methods<Modules> {
  static constexpr std::string_view kName = "vmsec.Modules";
  static constexpr auto table() { return std::make_tuple(method(1, "Call", &Modules::call)); }
};

template <>
class Proxy<Modules> final : public Remote<Modules> {
 public:
  using Remote::Remote;
  Result<ModuleReply> call(const CallModule& r) override { return invoke<1>(r); }
};

}  // namespace vmsec
