#include "verifier.hpp"

#include "evidence/bytes.hpp"
#include "evidence/credential.hpp"
#include "evidence/digest.hpp"
#include "evidence/ek_certificate.hpp"
#include "evidence/secret.hpp"

namespace vmsec::boot {
namespace {

const std::string kThisHost = "this host";
QuoteRequest request_of(const std::string& nonce, PcrSelection selection) {
  return {nonce, selection.pcrs.bits, static_cast<std::uint32_t>(selection.bank)};
}

}  // namespace

Result<AttestationReport> Verifier::attest(const AttestHost& request) {
  const bool here = request.host.empty() && request.connection == 0;
  auto report = here ? attest_here() : attest_noted(request);
  if (!report) {
    if (family(report.error().code) == Family::security)
      record("measured_boot.attest", Outcome::refused, request.host, report.error().message);
    return report;
  }
  if (report->verdict == Verdict::trusted) return report;
  const auto outcome = report->verdict == Verdict::unreachable ? Outcome::failed : Outcome::refused;
  record("measured_boot.attest", outcome, report->host, std::string(to_string(report->verdict)) + ": " + report->cause);
  return report;
}

Result<PeerLink> Verifier::link(const AttestHost& request) {
  if (request.connection == 0) return PeerLink::open(peers_, request.host, links_);
  return PeerLink::join(peers_, request.connection);
}

Result<std::optional<AttestationReport>> Verifier::revoked_report(const std::string& host) {
  if (host.empty() || !check_host_name(host)) return std::nullopt;
  VMSEC_TRY(const auto cause, revocations_.cause(host));
  if (!cause) return std::nullopt;
  return report_of(host, Verdict::untrusted, *cause);
}

Result<AttestationReport> Verifier::attest_peer(const AttestHost& request) {
  VMSEC_TRY(const auto wanted, reference_.read());
  auto peer = link(request);
  if (!peer && is_silence(peer.error())) return report_of(request.host, Verdict::unreachable, peer.error().message);
  if (!peer) return fail(peer.error());
  const std::string host = peer->context().peer;
  if (!request.host.empty() && request.host != host)
    return report_of(request.host, Verdict::untrusted, "the connection is to host " + host);
  VMSEC_TRY(const auto revoked, revoked_report(host));
  if (revoked) return *revoked;
  const auto keys = enrolments_.find(host);
  if (!keys && keys.error().code == Code::not_found) return report_of(host, Verdict::untrusted, "not enrolled");
  if (!keys) return fail(keys.error());
  const auto seen = clocks_.seen(host, keys->attestation);
  if (!seen) return fail(seen.error());
  const SteadyTime asked = clock_();
  const auto shown = ask(*peer, keys->attestation, selection_of(*wanted));
  if (!shown && shown.error().code == Code::tampered) return report_of(host, Verdict::untrusted, shown.error().message);
  if (!shown) return report_of(host, Verdict::unreachable, "no evidence came: " + shown.error().message);
  auto report = report_of(host, Verdict::unknown, {});
  report.attestation_key = to_hex(keys->attestation.name_digest);
  judge(shown->evidence, shown->key, shown->demand, *wanted, report);
  VMSEC_CHECK(clocks_.judge(host, shown->evidence, shown->key, shown->demand, *seen, report));
  check_age(report, asked, clock_(), config_.max_age);
  return report;
}

Result<AttestationReport> Verifier::attest_here() {
  VMSEC_TRY(const auto wanted, reference_.read());
  const auto shown = ask_here(selection_of(*wanted));
  if (!shown) return report_of(kThisHost, Verdict::unreachable, "no evidence came: " + shown.error().message);
  auto report = report_of(kThisHost, Verdict::unknown, {});
  report.attestation_key = to_hex(shown->key.name_digest);
  judge(shown->evidence, shown->key, shown->demand, *wanted, report);
  return report;
}

// `tampered`: an answer came, and it is none.
Result<ShownEvidence> Verifier::ask(PeerLink& link, const TpmPublic& key, PcrSelection selection) {
  VMSEC_TRY(const auto nonce, random_bytes(kNonceBytes));
  const auto& context = link.context();
  ShownEvidence shown;
  shown.key = key;
  shown.demand.pcrs = selection.pcrs;
  shown.demand.bank = selection.bank;
  VMSEC_TRY(shown.demand.qualifying_data, qualifying_data(context.binding, context.peer_certificate, nonce));
  VMSEC_TRY(const auto answer, link.call(kMethodQuote, wire::encode(request_of(nonce, selection))));
  auto evidence = wire::decode<Evidence>(answer);
  if (!evidence) return fail(Code::tampered, "its answer is no evidence: " + evidence.error().message);
  shown.evidence = std::move(*evidence);
  return shown;
}

Result<ShownEvidence> Verifier::ask_here(PcrSelection selection) {
  VMSEC_TRY(const auto nonce, random_bytes(kNonceBytes));
  ShownEvidence shown;
  shown.demand.pcrs = selection.pcrs;
  shown.demand.bank = selection.bank;
  VMSEC_TRY(shown.demand.qualifying_data, local_qualifying_data(nonce));
  VMSEC_TRY(auto local, prover_.quote_locally(request_of(nonce, selection)));
  VMSEC_TRY(shown.key, parse_public(local.attestation_key, "attestation key"));
  shown.evidence = std::move(local.evidence);
  return shown;
}

Result<ShownEvidence> Verifier::shown_by(const std::string& host, PcrSelection selection) {
  if (host.empty()) return ask_here(selection);
  const auto keys = enrolments_.find(host);
  if (!keys && keys.error().code == Code::not_found)
    return fail(Code::wrong_state, "learn from host " + host + ": it is not enrolled");
  if (!keys) return fail(keys.error());
  VMSEC_TRY(auto link, PeerLink::open(peers_, host, links_));
  return ask(link, keys->attestation, selection);
}

Result<ReferenceText> Verifier::learn(const LearnReference& request) {
  const std::string host = request.host.empty() ? kThisHost : request.host;
  VMSEC_TRY(const auto shown, shown_by(request.host, {kLearnedPcrs}));
  return learned(shown, host);
}

Result<Enrolment> Verifier::enrol(const EnrolHost& request) {
  auto enrolment = enrol_checked(request);
  if (enrolment) return enrolment;
  const Error& error = enrolment.error();
  const bool refused = family(error.code) == Family::security || error.code == Code::already_exists;
  record("measured_boot.enrol", refused ? Outcome::refused : Outcome::failed, request.host, error.message);
  return enrolment;
}

Result<Enrolment> Verifier::enrol_checked(const EnrolHost& request) {
  VMSEC_CHECK(check_host_name(request.host));
  VMSEC_TRY(const auto revoked_before, revocations_.cause(request.host));
  VMSEC_CHECK(check_not_revoked(request, revoked_before));
  VMSEC_TRY(auto link, PeerLink::open(peers_, request.host, links_));
  VMSEC_TRY(const auto payload, link.call(kMethodKeys, wire::encode(Empty{})));
  VMSEC_TRY(const auto shown, wire::decode<Keys>(payload));
  const auto keys = checked_keys(shown, config_.ek_roots);
  if (!keys) return fail(keys.error().in("enrol host " + request.host));
  VMSEC_CHECK(activate(link, *keys));
  const std::lock_guard lock(standing_);
  VMSEC_CHECK(check_not_revoked(request, revoked_before));  // the host had its time to answer
  VMSEC_TRY(auto enrolment, enrolments_.add(request.host, *keys, request.replace ? Replace::yes : Replace::no));
  if (request.replace) VMSEC_CHECK(clocks_.forget(request.host));
  VMSEC_CHECK(note_enrolled(request));
  return enrolment;
}

// Only the TPM of that endorsement key, holding that attestation key, can answer.
Status Verifier::activate(PeerLink& link, const KeyPair& keys) {
  VMSEC_TRY(auto fresh, random_bytes(kSha256Size));
  const Secret secret(std::move(fresh));
  const std::string name = keys.attestation.name();
  VMSEC_TRY(const auto credential, make_credential(keys.endorsement, name, secret.bytes()));
  const auto& context = link.context();
  VMSEC_TRY(const auto expected, activation_proof(secret.bytes(), context.binding, context.peer_certificate, name));
  VMSEC_TRY(
      const auto payload,
      link.call(kMethodActivate, wire::encode(ActivateRequest{credential.id_object, credential.encrypted_secret})));
  VMSEC_TRY(const auto reply, wire::decode<ActivateReply>(payload));
  if (equal(reply.proof, expected)) return {};
  return fail(Code::untrusted, "enrol host " + context.peer +
                                   ": it has not proven that its attestation key is in the TPM of its endorsement key");
}

// A refusal stands whether or not it could be written down.
void Verifier::record(const char* action, Outcome outcome, const std::string& host, const std::string& detail) {
  if (const auto written = journal_.audit({action, outcome, {}, host, detail}); !written)
    static_cast<void>(
        journal_.log({LogLevel::error, std::string(action) + " could not be audited: " + written.error().message}));
}

}  // namespace vmsec::boot
