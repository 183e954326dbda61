// A control plane's way to a host: to the agent of a host (vmsecd), or to a
// Host in this process. Both are called the same way:
//
//   VMSEC_TRY(auto control, vmsec::connect_agent("/run/vmsec/vmsecd.sock"));
//   auto domains = control->open<vmsec::DomainControl>();
//   VMSEC_TRY(auto list, domains->list({}));
#pragma once

#include <memory>
#include <string>

#include "vmsec/export.hpp"
#include "vmsec/interface.hpp"

namespace vmsec {

// Calls may come from any thread.
class VMSEC_EXPORT Control : public std::enable_shared_from_this<Control> {
 public:
  virtual ~Control();

  // Interfaces: each capability ("vmsec.DomainControl"), "vmsec.HostControl", and
  // what the loaded modules provide ("vmsec.Migrator"; where several modules
  // provide one, "throttle:vmsec.Enforcement"). `not_found` for any other.
  virtual Result<Packet> call(std::string_view interface, std::uint32_t method, Packet request) = 0;

  // The face of an interface. Keeps this Control alive.
  template <class I>
  std::unique_ptr<I> open(std::string interface = std::string(Methods<I>::kName)) {
    return std::make_unique<Proxy<I>>(std::make_shared<Face>(shared_from_this(), std::move(interface)));
  }

 private:
  class Face final : public Transport {
   public:
    Face(std::shared_ptr<Control> control, std::string interface)
        : control_(std::move(control)), interface_(std::move(interface)) {}
    Result<Packet> call(std::uint32_t method, Packet request) override {
      return control_->call(interface_, method, std::move(request));
    }

   private:
    std::shared_ptr<Control> control_;
    std::string interface_;
  };
};

// Connects to an agent's Unix socket. Each call uses a connection of its own
// while others are busy. `unavailable` when nobody listens there, and when the
// agent goes away during a call (it may have happened: ask again).
VMSEC_EXPORT Result<std::shared_ptr<Control>> connect_agent(const std::string& socket_path);

}  // namespace vmsec
