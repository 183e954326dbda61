#include "prover.hpp"

#include "evidence/bytes.hpp"
#include "evidence/credential.hpp"
#include "evidence/digest.hpp"
#include "evidence/ima.hpp"
#include "evidence/secret.hpp"
#include "tpm/quoted_evidence.hpp"

namespace vmsec::boot {
namespace {

constexpr std::size_t kMaxShownIma = std::size_t{5}
                                     << 19;  // with the event log, less than a connection's largest message
const std::string kKeyRecord = "attestation-key";

Result<PcrSelection> checked(const QuoteRequest& request) {
  if (request.nonce.size() != kNonceBytes)
    return fail(Code::invalid_argument,
                "quote: a nonce of " + std::to_string(request.nonce.size()) + " bytes, want 32");
  const PcrMask pcrs{request.pcrs};
  if (!pcrs.valid()) return fail(Code::invalid_argument, "quote: want one PCR at least, of 0 to 23");
  const Hash bank{static_cast<std::uint16_t>(request.bank)};
  if (request.bank != static_cast<std::uint32_t>(bank) || !digest_size(bank))
    return fail(Code::invalid_argument, "quote: of the PCR bank " + std::to_string(request.bank) + " nothing is known");
  return PcrSelection{pcrs, bank};
}

std::string_view name_of(AttestationKeyKind kind) {
  switch (kind) {
    case AttestationKeyKind::ecc:
      return "ecc";
    case AttestationKeyKind::ecc_384:
      return "ecc-384";
    case AttestationKeyKind::rsa:
      return "rsa";
  }
  return "another";
}

// Why the operator's setting asks for another key than this; nothing where it does not.
Result<std::optional<std::string>> unwanted_kind(const KeyBlob& key, std::optional<AttestationKeyKind> wanted) {
  if (!wanted) return std::nullopt;
  VMSEC_TRY(const auto area, public_area(key));
  VMSEC_TRY(const auto parsed, parse_public(area, "attestation key"));
  const auto is = parsed.type == KeyType::rsa     ? AttestationKeyKind::rsa
                  : parsed.hash() == Hash::sha384 ? AttestationKeyKind::ecc_384
                                                  : AttestationKeyKind::ecc;
  if (is == *wanted) return std::nullopt;
  return "attestation_key = \"" + std::string(name_of(*wanted)) + "\" is configured, the key was of kind \"" +
         std::string(name_of(is)) + "\"";
}

}  // namespace

Result<std::string> qualifying_data(std::string_view binding, std::string_view host_certificate,
                                    std::string_view nonce) {
  return sha256_of_list({"vmsec quote v1", binding, host_certificate, nonce});
}

Result<std::string> local_qualifying_data(std::string_view nonce) {
  return sha256_of_list({"vmsec local quote v1", nonce});
}

Status check_context(const PeerContext& context) {
  if (context.binding.size() == kSha256Size && !context.peer.empty() && !context.local_certificate.empty() &&
      !context.peer_certificate.empty())
    return {};
  return fail(Code::unauthenticated, "measured_boot: the connection to host \"" + printable(context.peer, 128) +
                                         "\" has no binding or certificates to quote over");
}

Result<KeyBlob> Prover::kept_key() {
  VMSEC_TRY(const auto record, records_.get({kKeyRecord}));
  VMSEC_TRY(auto kept, wire::decode<KeptKey>(record.value));
  return KeyBlob{std::move(kept.public_area), std::move(kept.private_area)};
}

Result<KeyBlob> Prover::new_key(Tpm& tpm, const std::string& why) {
  VMSEC_TRY(auto key, tpm.create_attestation_key(kind_.value_or(AttestationKeyKind::ecc)));
  VMSEC_CHECK(journal_.audit({"measured_boot.new_key", Outcome::succeeded, {}, {}, why}));
  VMSEC_CHECK(records_.put({kKeyRecord, wire::encode(KeptKey{key.public_area, key.private_area})}));
  return key;
}

Result<KeyBlob> Prover::usable_key(Tpm& tpm) {
  auto key = kept_key();
  if (!key && key.error().code == Code::not_found) return new_key(tpm, "this host had no attestation key");
  if (!key) return fail(key.error().in("read this host's attestation key"));
  VMSEC_TRY(const auto unwanted, unwanted_kind(*key, kind_));
  if (unwanted) return new_key(tpm, *unwanted);
  const Status loads = tpm.check_loads(*key);
  if (loads) return key;
  // A key that this TPM cannot load again is of no use to anybody; who enrolled
  // it will refuse the new one, until an operator says that it may be replaced.
  if (loads.error().code == Code::wrong_state) return new_key(tpm, loads.error().message);
  return fail(loads.error());
}

Result<Keys> Prover::keys() {
  VMSEC_TRY(const auto host, evidence_.host({}));
  VMSEC_TRY(auto tpm, Tpm::open(host.tcti));
  VMSEC_TRY(const auto key, usable_key(tpm));
  VMSEC_TRY(auto endorsement, tpm.endorsement_key());
  VMSEC_TRY(auto attestation, public_area(key));
  return Keys{std::move(endorsement.public_area), std::move(endorsement.certificate), std::move(attestation),
              std::move(endorsement.issuers)};
}

Result<ActivateReply> Prover::activate(const PeerContext& from, const ActivateRequest& request) {
  VMSEC_CHECK(check_context(from));
  VMSEC_TRY(const auto host, evidence_.host({}));
  VMSEC_TRY(const auto key, kept_key());
  VMSEC_TRY(const auto area, public_area(key));
  VMSEC_TRY(const auto parsed, parse_public(area, "attestation key"));
  VMSEC_TRY(auto tpm, Tpm::open(host.tcti));
  VMSEC_TRY(auto opened, tpm.activate(key, request.id_object, request.encrypted_secret));
  const Secret secret(std::move(opened));
  VMSEC_TRY(auto proof, activation_proof(secret.bytes(), from.binding, from.local_certificate, parsed.name()));
  return ActivateReply{std::move(proof)};
}

Result<Evidence> Prover::quote(const PeerContext& from, const QuoteRequest& request) {
  VMSEC_TRY(const auto selection, checked(request));
  VMSEC_CHECK(check_context(from));
  VMSEC_TRY(const auto qualifying, qualifying_data(from.binding, from.local_certificate, request.nonce));
  VMSEC_TRY(const auto host, evidence_.host({}));
  VMSEC_TRY(const auto key, kept_key());
  VMSEC_TRY(auto tpm, Tpm::open(host.tcti));
  return quote(tpm, key, qualifying, selection);
}

Result<Prover::Local> Prover::quote_locally(const QuoteRequest& request) {
  VMSEC_TRY(const auto selection, checked(request));
  VMSEC_TRY(const auto qualifying, local_qualifying_data(request.nonce));
  VMSEC_TRY(const auto host, evidence_.host({}));
  VMSEC_TRY(auto tpm, Tpm::open(host.tcti));
  VMSEC_TRY(const auto key, usable_key(tpm));
  Local local;
  VMSEC_TRY(local.evidence, quote(tpm, key, qualifying, selection));
  VMSEC_TRY(local.attestation_key, public_area(key));
  return local;
}

Result<Evidence> Prover::quote(Tpm& tpm, const KeyBlob& key, const std::string& qualifying, PcrSelection selection) {
  VMSEC_TRY(auto evidence, quoted_evidence(tpm, key, qualifying, selection));
  // Files and modules go on being measured: a log of before the quote may lack what was quoted, one of after it has it
  // all.
  VMSEC_TRY(auto now, evidence_.host({}));
  evidence.event_log = std::move(now.event_log);
  evidence.module_log = std::move(now.module_log);
  if (!selection.pcrs.has(kImaPcr)) return evidence;
  if (now.ima_list.size() > kMaxShownIma)
    return fail(Code::limit_exceeded, "quote: this host's IMA list has " + std::to_string(now.ima_list.size()) +
                                          " bytes, at most " + std::to_string(kMaxShownIma) + " are shown");
  evidence.ima_list = std::move(now.ima_list);
  return evidence;
}

}  // namespace vmsec::boot
