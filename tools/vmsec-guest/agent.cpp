#include "agent.hpp"

#include "evidence/files.hpp"
#include "tpm/quoted_evidence.hpp"

namespace vmsec::guest {
namespace {

using namespace boot;

// A frame holds the evidence with its log: what does not fit is refused here, where it can be said why.
constexpr std::size_t kMaxLog = std::size_t{900} << 10;

template <class Request, class Function>
Result<std::string> on(std::string_view payload, Function function) {
  VMSEC_TRY(const auto request, wire::decode<Request>(payload));
  auto reply = function(request);
  if (!reply) return fail(std::move(reply).error());
  return wire::encode(*reply);
}

Status check_nonce(const std::string& nonce) {
  if (nonce.size() == kGuestNonceBytes) return {};
  return fail(Code::invalid_argument, "a nonce of " + std::to_string(nonce.size()) + " bytes, want 32");
}

Result<PcrSelection> selection_of(const GuestQuote& request) {
  const PcrMask pcrs{request.pcrs};
  const Hash bank{static_cast<std::uint16_t>(request.bank)};
  if (!pcrs.valid()) return fail(Code::invalid_argument, "quote: want one PCR at least, of 0 to 23");
  if (request.bank != static_cast<std::uint32_t>(bank) || !digest_size(bank))
    return fail(Code::invalid_argument, "quote: of the PCR bank " + std::to_string(request.bank) + " nothing is known");
  return PcrSelection{pcrs, bank};
}

}  // namespace

std::string Agent::answer(std::string_view call) {
  auto payload = called(call);
  if (payload) return wire::encode(GuestAnswer{{}, std::move(*payload)});
  return wire::encode(GuestAnswer{payload.error().message, {}});
}

Result<std::string> Agent::called(std::string_view bytes) {
  VMSEC_TRY(const auto call, wire::decode<GuestCall>(bytes));
  switch (call.method) {
    case kGuestKeys:
      return on<Empty>(call.payload, [&](const Empty&) { return keys(); });
    case kGuestActivate:
      return on<GuestActivate>(call.payload, [&](const GuestActivate& request) { return activate(request); });
    case kGuestQuote:
      return on<GuestQuote>(call.payload, [&](const GuestQuote& request) { return quote(request); });
    case kGuestSecret:
      return on<GuestSecret>(call.payload, [&](const GuestSecret& request) { return secret(request); });
    default:
      return fail(Code::unsupported, "this agent has no method " + std::to_string(call.method));
  }
}

Status Agent::check_domain(const Uuid& domain) const {
  if (domain == setup_.domain) return {};
  return fail(Code::denied, "asked for guest " + domain.text() + ", this is " + setup_.domain.text());
}

Result<GuestKeys> Agent::keys() {
  VMSEC_TRY(auto tpm, Tpm::open(setup_.tcti));
  VMSEC_TRY(const auto key, tpm.primary_attestation_key());
  VMSEC_TRY(auto attestation, public_area(key));
  VMSEC_TRY(auto endorsement, tpm.endorsement_key());
  return GuestKeys{std::move(endorsement.public_area), std::move(endorsement.certificate), std::move(attestation)};
}

Result<GuestProof> Agent::activate(const GuestActivate& request) {
  VMSEC_CHECK(check_domain(request.domain));
  VMSEC_CHECK(check_nonce(request.nonce));
  VMSEC_TRY(auto tpm, Tpm::open(setup_.tcti));
  VMSEC_TRY(const auto key, tpm.primary_attestation_key());
  VMSEC_TRY(const auto area, public_area(key));
  VMSEC_TRY(const auto parsed, parse_public(area, "attestation key"));
  VMSEC_TRY(auto opened, tpm.activate(key, request.id_object, request.encrypted_secret));
  const Secret secret(std::move(opened));
  VMSEC_TRY(auto proof, guest_enrol_proof(secret.bytes(), request.domain, request.nonce, parsed.name()));
  return GuestProof{std::move(proof)};
}

Result<GuestEvidence> Agent::quote(const GuestQuote& request) {
  quoted_.reset();
  VMSEC_CHECK(check_domain(request.domain));
  VMSEC_CHECK(check_nonce(request.nonce));
  VMSEC_TRY(const auto selection, selection_of(request));
  VMSEC_TRY(auto exchange_key, ExchangeKey::make());
  VMSEC_TRY(const auto qualifying, guest_qualifying_data(request.domain, request.nonce, exchange_key.public_key()));
  GuestEvidence out;
  VMSEC_TRY(auto tpm, Tpm::open(setup_.tcti));
  VMSEC_TRY(const auto key, tpm.primary_attestation_key());
  VMSEC_TRY(out.evidence, quoted_evidence(tpm, key, qualifying, selection));
  VMSEC_TRY(out.evidence.event_log, read_file(setup_.event_log, kMaxLog, "the event log"));
  out.exchange_key = exchange_key.public_key();
  quoted_.emplace(request.nonce, std::move(exchange_key));
  return out;
}

Result<GuestProof> Agent::secret(const GuestSecret& request) {
  VMSEC_CHECK(check_domain(request.domain));
  VMSEC_CHECK(check_secret_name(request.name));
  // Of one quote comes one secret at most.
  const auto quoted = std::exchange(quoted_, std::nullopt);
  if (!quoted || quoted->nonce != request.nonce)
    return fail(Code::wrong_state, "a secret that belongs to no quote of this agent's");
  VMSEC_TRY(auto agreed, quoted->key.agree(request.exchange_key));
  const Secret agreement(std::move(agreed));
  VMSEC_TRY(auto tpm, Tpm::open(setup_.tcti));
  VMSEC_TRY(const auto key, tpm.primary_attestation_key());
  VMSEC_TRY(auto opened, tpm.activate(key, request.id_object, request.encrypted_secret));
  const Secret credential(std::move(opened));
  VMSEC_TRY(const auto seal,
            Seal::make(credential.bytes(), agreement.bytes(),
                       {request.domain, request.nonce, request.name, request.exchange_key, quoted->key.public_key()}));
  VMSEC_TRY(auto plain, seal.open(request.sealed));
  const Secret secret(std::move(plain));
  VMSEC_CHECK(setup_.store(request.name, secret.bytes()));
  VMSEC_TRY(auto proof, seal.taken());
  return GuestProof{std::move(proof)};
}

}  // namespace vmsec::guest
