// BootEvidence: the host's as the operator says, a guest's over its virtio serial port.
#include "boot_evidence.hpp"
#include "context.hpp"
#include "domain.hpp"
#include "guest_port.hpp"
#include "guest_turns.hpp"
#include "vmsec/guest_frame.hpp"

namespace vmsec::kvm {
namespace {

class KvmBootEvidence final : public BootEvidence {
 public:
  explicit KvmBootEvidence(std::shared_ptr<Context> context)
      : context_(std::move(context)), host_(common::make_boot_evidence(context_->options)) {}

  Result<HostEvidence> host(const Empty& request) override { return host_->host(request); }

  Result<GuestReply> guest(const GuestRequest& request) override {
    const std::string operation = "ask guest " + request.domain.text();
    VMSEC_TRY(const auto turn, turns_.take(request.domain, std::chrono::milliseconds(request.timeout_ms)));
    VMSEC_TRY(const auto path, socket_of(request.domain, operation));
    const auto port = common::connect_guest_port(path);
    if (!port) return fail(port.error().in(operation));
    auto reply = common::exchange(*port, request);
    if (!reply) return fail(reply.error().in(operation));
    return reply;
  }

 private:
  Result<std::string> socket_of(const Uuid& uuid, const std::string& operation) {
    VMSEC_TRY(const DomainPtr domain, context_->connection->domain(uuid, operation));
    VMSEC_TRY(const DomainState state, state_of(domain.get(), operation));
    VMSEC_TRY(const DomainXml xml, xml_of(domain.get(), operation));
    // A guest that does not run cannot tell of itself: the environment's fault, as with a host that is off.
    if (state != DomainState::running) return fail(Code::unavailable, operation + ": " + xml.name + " does not run");
    for (const auto& channel : xml.channels)
      if (channel.name == kGuestPort && !channel.socket.empty()) return channel.socket;
    return fail(Code::unsupported, operation + ": " + xml.name +
                                       "'s XML has no <channel type='unix'> with <target type='virtio' name='" +
                                       std::string(kGuestPort) + "'/>");
  }

  std::shared_ptr<Context> context_;
  std::unique_ptr<BootEvidence> host_;
  common::GuestTurns turns_;
};

}  // namespace

Result<std::unique_ptr<BootEvidence>> make_boot_evidence(std::shared_ptr<Context> context) {
  return std::unique_ptr<BootEvidence>(std::make_unique<KvmBootEvidence>(std::move(context)));
}

}  // namespace vmsec::kvm
