// The module: one class at the door, the work in prover and verifier.
#pragma once

#include <memory>

#include "guests.hpp"
#include "prover.hpp"
#include "verifier.hpp"
#include "vmsec/module.hpp"

namespace vmsec::boot {

struct Services {
  std::unique_ptr<BootEvidence> evidence;
  std::unique_ptr<Peers> peers;
  std::unique_ptr<Records> records;
  std::unique_ptr<Journal> journal;
};

class MeasuredBoot final : public PeerHandler {
 public:
  static Result<std::unique_ptr<MeasuredBoot>> create(HostLink host, const Settings& settings);
  MeasuredBoot(Services services, Config config, Clock clock);

  // What is on record: once, before the first call.
  Status load() { return verifier_.load(); }
  Result<Endpoint*> endpoint(std::string_view name);
  Attestation& attestation() { return verifier_; }
  Watch& watch() { return verifier_.watch(); }
  GuestAttestation& guests() { return guests_; }

  Result<PeerReply> incoming_call(const IncomingCall& call) override;
  Result<PeerReply> incoming_stream(const IncomingStream& stream) override;
  Result<Empty> stream_ready(const StreamReady& stream) override;
  Result<Empty> disconnected(const PeerContext& context) override;

 private:
  Services services_;
  Prover prover_;
  Verifier verifier_;
  Guests guests_;
  EndpointOf<Attestation> attestation_endpoint_;
  EndpointOf<GuestAttestation> guest_endpoint_;
  EndpointOf<PeerHandler> peer_endpoint_;
};

}  // namespace vmsec::boot
