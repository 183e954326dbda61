#include "guests.hpp"

#include <unistd.h>

#include <cerrno>

#include "evidence/bytes.hpp"
#include "evidence/credential.hpp"
#include "evidence/digest.hpp"

namespace vmsec::boot {
namespace {

Status check_secret(const ReleaseSecret& request) {
  VMSEC_CHECK(check_secret_name(request.name));
  if (!request.secret.empty() && request.secret.size() <= kMaxGuestSecret) return {};
  return fail(Code::invalid_argument, "release " + request.name + ": a secret of " +
                                          std::to_string(request.secret.size()) + " bytes, want 1 to " +
                                          std::to_string(kMaxGuestSecret));
}

}  // namespace

std::unique_lock<std::mutex> Guests::turn_of(const Uuid& domain) {
  std::unique_lock lock(turns_mutex_);
  std::mutex& turn = turns_[domain.text()];  // never removed
  lock.unlock();
  return std::unique_lock(turn);
}

// The guest's own file, or else the one for all that have none.
Result<Reference> Guests::reference(const Uuid& domain) {
  if (config_.guest_references.empty())
    return fail(Code::wrong_state, "attest guest " + domain.text() +
                                       ": no references are configured: set [module.measured_boot] guest_references = "
                                       "\"/etc/vmsec/guests\" in vmsecd.toml");
  const std::string own = config_.guest_references + "/" + domain.text() + ".toml";
  // One that is there and cannot be read is an error, and no reason to take another.
  const bool has_own = ::access(own.c_str(), F_OK) == 0 || errno != ENOENT;
  VMSEC_TRY(auto reference, read_reference(has_own ? own : config_.guest_references + "/default.toml"));
  // Of the guest, whichever file it is: to take its own away is no way back either.
  const std::lock_guard lock(serials_);
  VMSEC_CHECK(check_serial(records_, "guest " + domain.text(), reference.serial));
  return reference;
}

Result<Enrolment> Guests::enrol(const EnrolGuest& request) {
  auto enrolment = enrol_checked(request);
  if (enrolment) return enrolment;
  const Error& error = enrolment.error();
  const bool refused = family(error.code) == Family::security || error.code == Code::already_exists;
  record("measured_boot.enrol_guest", refused ? Outcome::refused : Outcome::failed, request.domain, error.message);
  return enrolment;
}

Result<Enrolment> Guests::enrol_checked(const EnrolGuest& request) {
  const std::string what = "enrol guest " + request.domain.text();
  GuestLink link(evidence_, request.domain);
  const auto shown = link.call<GuestKeys>(kGuestKeys, Empty{});
  if (!shown) return fail(shown.error().in(what));
  const auto keys = checked_keys(
      Keys{shown->endorsement_key, shown->endorsement_certificate, shown->attestation_key, {}}, config_.guest_ek_roots);
  if (!keys) return fail(keys.error().in(what));
  if (const auto proven = activate(request.domain, *keys); !proven) return fail(proven.error().in(what));
  VMSEC_TRY(auto enrolment,
            enrolments_.add(request.domain.text(), *keys, request.replace ? Replace::yes : Replace::no));
  if (request.replace) VMSEC_CHECK(clocks_.forget(request.domain.text()));
  return enrolment;
}

// Only the TPM of that endorsement key, holding that attestation key, can answer.
Status Guests::activate(const Uuid& domain, const KeyPair& keys) {
  VMSEC_TRY(auto fresh, random_bytes(kSha256Size));
  const Secret secret(std::move(fresh));
  VMSEC_TRY(const auto nonce, random_bytes(kGuestNonceBytes));
  const std::string name = keys.attestation.name();
  VMSEC_TRY(auto credential, make_credential(keys.endorsement, name, secret.bytes()));
  VMSEC_TRY(const auto expected, guest_enrol_proof(secret.bytes(), domain, nonce, name));
  GuestLink link(evidence_, domain);
  VMSEC_TRY(const auto reply,
            link.call<GuestProof>(kGuestActivate, GuestActivate{domain, nonce, std::move(credential.id_object),
                                                                std::move(credential.encrypted_secret)}));
  if (equal(reply.proof, expected)) return {};
  return fail(Code::untrusted, "it has not proven that its attestation key is in the TPM of its endorsement key");
}

Result<Guests::Shown> Guests::ask(const Uuid& domain, const TpmPublic& key, PcrSelection selection) {
  Shown shown;
  shown.key = key;
  VMSEC_TRY(shown.nonce, random_bytes(kGuestNonceBytes));
  GuestLink link(evidence_, domain);
  VMSEC_TRY(auto answer, link.call<GuestEvidence>(kGuestQuote, GuestQuote{domain, shown.nonce, selection.pcrs.bits,
                                                                          static_cast<std::uint32_t>(selection.bank)}));
  shown.evidence = std::move(answer.evidence);
  shown.exchange_key = std::move(answer.exchange_key);
  shown.demand.pcrs = selection.pcrs;
  shown.demand.bank = selection.bank;
  VMSEC_TRY(shown.demand.qualifying_data, guest_qualifying_data(domain, shown.nonce, shown.exchange_key));
  return shown;
}

Result<AttestationReport> Guests::attest(const GuestRef& request) {
  const auto turn = turn_of(request.domain);
  VMSEC_TRY(auto found, judged(request.domain));
  return std::move(found.report);
}

// Whatever asked for it: what is not trusted is written down.
Result<Guests::Judged> Guests::judged(const Uuid& domain) {
  VMSEC_TRY(const auto wanted, reference(domain));
  auto found = judged(domain, wanted);
  if (!found || found->report.verdict == Verdict::trusted) return found;
  const auto outcome = found->report.verdict == Verdict::unreachable ? Outcome::failed : Outcome::refused;
  record("measured_boot.attest_guest", outcome, domain,
         std::string(to_string(found->report.verdict)) + ": " + found->report.cause);
  return found;
}

Result<Guests::Judged> Guests::judged(const Uuid& domain, const Reference& wanted) {
  auto keys = enrolments_.find(domain.text());
  if (!keys && keys.error().code == Code::not_found)
    return Judged{report_of(domain.text(), Verdict::untrusted, "not enrolled"), {}, {}};
  if (!keys) return fail(keys.error());
  const auto seen = clocks_.seen(domain.text(), keys->attestation);
  if (!seen) return fail(seen.error());
  const SteadyTime asked = clock_();
  auto shown = ask(domain, keys->attestation, selection_of(wanted));
  if (!shown && shown.error().code == Code::tampered)
    return Judged{report_of(domain.text(), Verdict::untrusted, shown.error().message), {}, {}};
  if (!shown && is_silence(shown.error()))
    return Judged{report_of(domain.text(), Verdict::unreachable, "no evidence came: " + shown.error().message), {}, {}};
  if (!shown) return fail(shown.error());
  auto report = report_of(domain.text(), Verdict::unknown, {});
  report.attestation_key = to_hex(keys->attestation.name_digest);
  judge(shown->evidence, shown->key, shown->demand, wanted, report);
  VMSEC_CHECK(clocks_.judge(domain.text(), shown->evidence, keys->attestation, shown->demand, *seen, report));
  check_age(report, asked, clock_(), config_.max_age);
  return Judged{std::move(report), std::move(*keys), std::move(*shown)};
}

Result<SecretRelease> Guests::release(const ReleaseSecret& request) {
  VMSEC_CHECK(check_secret(request));
  const auto turn = turn_of(request.domain);
  VMSEC_TRY(auto found, judged(request.domain));
  return release_to(request, std::move(found));
}

Result<SecretRelease> Guests::release_to(const ReleaseSecret& request, Judged found) {
  constexpr auto kAction = "measured_boot.release";
  const std::string what = "secret " + request.name;
  if (found.report.verdict != Verdict::trusted) {
    record(kAction, Outcome::refused, request.domain,
           what + ": the guest is " + std::string(to_string(found.report.verdict)) + ": " + found.report.cause);
    return SecretRelease{std::move(found.report), false};
  }
  // Written before it is done: a secret that no record tells of must not leave.
  VMSEC_CHECK(journal_.audit({kAction, Outcome::unknown, request.domain, {}, "begins: " + what}));
  if (const auto delivered = deliver(request, found); !delivered) {
    record(kAction, Outcome::failed, request.domain, what + ": " + delivered.error().message);
    return fail(delivered.error().in("release " + request.name + " to guest " + request.domain.text()));
  }
  record(kAction, Outcome::succeeded, request.domain, what + ", attestation key " + found.report.attestation_key);
  return SecretRelease{std::move(found.report), true};
}

// Sealed to the TPM that quoted (by the credential) and to the agent that asked it to (by the key that the quote is
// over).
Status Guests::deliver(const ReleaseSecret& request, const Judged& to) {
  VMSEC_TRY(auto fresh, random_bytes(kSha256Size));
  const Secret credential_secret(std::move(fresh));
  VMSEC_TRY(auto credential,
            make_credential(to.keys.endorsement, to.keys.attestation.name(), credential_secret.bytes()));
  VMSEC_TRY(const auto key, ExchangeKey::make());
  VMSEC_TRY(auto agreed, key.agree(to.shown.exchange_key));
  const Secret agreement(std::move(agreed));
  VMSEC_TRY(const auto seal,
            Seal::make(credential_secret.bytes(), agreement.bytes(),
                       {request.domain, to.shown.nonce, request.name, key.public_key(), to.shown.exchange_key}));
  VMSEC_TRY(auto sealed, seal.close(request.secret));
  GuestLink link(evidence_, request.domain);
  VMSEC_TRY(
      const auto reply,
      link.call<GuestProof>(kGuestSecret,
                            GuestSecret{request.domain, to.shown.nonce, request.name, std::move(credential.id_object),
                                        std::move(credential.encrypted_secret), key.public_key(), std::move(sealed)}));
  VMSEC_TRY(const auto expected, seal.taken());
  if (equal(reply.proof, expected)) return {};
  return fail(Code::untrusted, "it has not proven that it holds the secret");
}

Result<ReferenceText> Guests::learn(const GuestRef& request) {
  const std::string name = "guest " + request.domain.text();
  const auto turn = turn_of(request.domain);
  const auto keys = enrolments_.find(request.domain.text());
  if (!keys && keys.error().code == Code::not_found)
    return fail(Code::wrong_state, "learn from " + name + ": it is not enrolled");
  if (!keys) return fail(keys.error());
  const auto shown = ask(request.domain, keys->attestation, {kLearnedPcrs});
  if (!shown) return fail(shown.error().in("learn from " + name));
  return learned(*shown, name);
}

// A refusal stands whether or not it could be written down.
void Guests::record(const char* action, Outcome outcome, const Uuid& domain, const std::string& detail) {
  if (const auto written = journal_.audit({action, outcome, domain, {}, detail}); !written)
    static_cast<void>(
        journal_.log({LogLevel::error, std::string(action) + " could not be audited: " + written.error().message}));
}

}  // namespace vmsec::boot
