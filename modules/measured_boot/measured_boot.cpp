#include "measured_boot.hpp"

namespace vmsec::boot {
namespace {

template <class Reply>
Result<PeerReply> answer(Result<Reply> reply) {
  if (!reply) return fail(std::move(reply).error());
  return PeerReply{wire::encode(*reply)};
}

SteadyTime steady_now() { return std::chrono::steady_clock::now(); }

}  // namespace

Result<std::unique_ptr<MeasuredBoot>> MeasuredBoot::create(HostLink host, const Settings& settings) {
  VMSEC_TRY(auto config, Config::read(settings));
  Services services;
  VMSEC_TRY(services.evidence, host.open<BootEvidence>());
  VMSEC_TRY(services.peers, host.open<Peers>());
  VMSEC_TRY(services.records, host.open<Records>());
  VMSEC_TRY(services.journal, host.open<Journal>());
  auto module = std::make_unique<MeasuredBoot>(std::move(services), std::move(config), steady_now);
  VMSEC_CHECK(module->load());
  module->watch().start();
  return module;
}

MeasuredBoot::MeasuredBoot(Services services, Config config, Clock clock)
    : services_(std::move(services)),
      prover_(*services_.evidence, *services_.records, *services_.journal, config.attestation_key),
      verifier_(config, clock, *services_.peers, *services_.records, *services_.journal, prover_),
      guests_(std::move(config), std::move(clock), *services_.evidence, *services_.records, *services_.journal),
      attestation_endpoint_(verifier_),
      guest_endpoint_(guests_),
      peer_endpoint_(*this) {}

Result<Endpoint*> MeasuredBoot::endpoint(std::string_view name) {
  if (name == attestation_endpoint_.interface_name()) return &attestation_endpoint_;
  if (name == guest_endpoint_.interface_name()) return &guest_endpoint_;
  if (name == peer_endpoint_.interface_name()) return &peer_endpoint_;
  return fail(Code::unsupported, "measured_boot provides no " + std::string(name));
}

Result<PeerReply> MeasuredBoot::incoming_call(const IncomingCall& call) {
  switch (call.method) {
    case kMethodKeys:
      return answer(prover_.keys());
    case kMethodActivate: {
      VMSEC_TRY(const auto request, wire::decode<ActivateRequest>(call.payload));
      return answer(prover_.activate(call.from, request));
    }
    case kMethodQuote: {
      VMSEC_TRY(const auto request, wire::decode<QuoteRequest>(call.payload));
      return answer(prover_.quote(call.from, request));
    }
    default:
      return fail(Code::unsupported, "measured_boot has no method " + std::to_string(call.method));
  }
}

Result<PeerReply> MeasuredBoot::incoming_stream(const IncomingStream&) {
  return fail(Code::unsupported, "measured_boot takes no streams");
}

Result<Empty> MeasuredBoot::stream_ready(const StreamReady&) {
  return fail(Code::unsupported, "measured_boot takes no streams");
}

Result<Empty> MeasuredBoot::disconnected(const PeerContext&) { return Empty{}; }

}  // namespace vmsec::boot
