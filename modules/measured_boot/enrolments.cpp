#include "enrolments.hpp"

#include <algorithm>
#include <chrono>

#include "evidence/bytes.hpp"
#include "evidence/digest.hpp"
#include "evidence/ek_certificate.hpp"

namespace vmsec::boot {
namespace {

constexpr std::size_t kMaxHostName = 100;

Result<KeyPair> keys_of(const EnrolledHost& host) {
  KeyPair keys;
  VMSEC_TRY(keys.endorsement, parse_public(host.endorsement_key, "enrolled endorsement key of " + host.host));
  VMSEC_TRY(keys.attestation, parse_public(host.attestation_key, "enrolled attestation key of " + host.host));
  return keys;
}

Enrolment answer(const std::string& host, const KeyPair& keys, UnixSeconds time) {
  return {host, to_hex(keys.endorsement.name_digest), to_hex(keys.attestation.name_digest), time};
}

}  // namespace

std::string Enrolments::record_of(const std::string& host) const {
  return (kind_ == Enrolled::guest ? "enrolled-guest." : "enrolled.") + host;
}

std::string Enrolments::named(const std::string& host) const {
  return (kind_ == Enrolled::guest ? "guest " : "host ") + host;
}

Result<EnrolledHost> Enrolments::decoded(const Record& record) const {
  auto host = wire::decode<EnrolledHost>(record.value);
  if (!host) return fail(host.error().in("record " + record.key));
  if (record.key != record_of(host->host)) return fail(Code::tampered, "record " + record.key + " is of another host");
  return host;
}

Result<KeyPair> checked_keys(const Keys& shown, const std::string& ek_roots) {
  KeyPair keys;
  VMSEC_TRY(keys.endorsement, parse_public(shown.endorsement_key, "endorsement key"));
  VMSEC_TRY(keys.attestation, parse_public(shown.attestation_key, "attestation key"));
  VMSEC_CHECK(check_endorsement_key(keys.endorsement));
  VMSEC_CHECK(check_attestation_key(keys.attestation));
  if (!ek_roots.empty())
    VMSEC_CHECK(
        verify_ek_certificate(shown.endorsement_certificate, shown.endorsement_issuers, keys.endorsement, ek_roots));
  return keys;
}

UnixSeconds now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return {static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(since).count())};
}

Status check_host_name(const std::string& host) {
  const bool fits = !host.empty() && host.size() <= kMaxHostName && std::ranges::all_of(host, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
  });
  if (fits) return {};
  return fail(Code::invalid_argument,
              "host name \"" + printable(host, kMaxHostName) + "\": want 1 to 100 of a-z A-Z 0-9 . _ -");
}

const Enrolments::Known* Enrolments::remember(const std::string& host, Known known) {
  if (const auto before = known_.find(host); before != known_.end()) {
    owners_.erase(before->second.keys.attestation.key_digest);
    owners_.erase(before->second.keys.endorsement.key_digest);
  }
  owners_[known.keys.attestation.key_digest] = host;
  owners_[known.keys.endorsement.key_digest] = host;
  return &(known_[host] = std::move(known));
}

// Null for a host that is not enrolled.
Result<const Enrolments::Known*> Enrolments::known(const std::string& host) {
  if (const auto found = known_.find(host); found != known_.end()) return &found->second;
  const auto record = records_.get({record_of(host)});
  if (!record && record.error().code == Code::not_found) return nullptr;
  if (!record) return fail(record.error());
  VMSEC_TRY(const auto enrolled, decoded(*record));
  VMSEC_TRY(auto keys, keys_of(enrolled));
  return remember(host, {std::move(keys), enrolled.time});
}

Result<KeyPair> Enrolments::find(const std::string& host) {
  VMSEC_CHECK(check_host_name(host));
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(const Known* found, known(host));
  if (found == nullptr) return fail(Code::not_found, named(host) + " is not enrolled");
  return found->keys;
}

// Once: what is enrolled later is added as it comes.
Status Enrolments::read_all() {
  if (all_read_) return {};
  VMSEC_TRY(const auto list, records_.list({record_of({})}));
  for (const auto& record : list.records) {
    VMSEC_TRY(const auto other, decoded(record));
    VMSEC_TRY(auto keys, keys_of(other));
    remember(other.host, {std::move(keys), other.time});
  }
  all_read_ = true;
  return {};
}

// By name alone: one damaged record is no reason to know none of the others.
Result<std::vector<std::string>> Enrolments::hosts() {
  VMSEC_TRY(const auto list, records_.list({record_of({})}));
  std::vector<std::string> out;
  for (const auto& record : list.records) out.push_back(record.key.substr(record_of({}).size()));
  return out;
}

// One machine, one name: neither of its keys may be bound to a second host.
Status Enrolments::check_other(const std::string& host, const std::string& digest, std::string_view what) const {
  const auto owner = owners_.find(digest);
  if (owner == owners_.end() || owner->second == host) return {};
  return fail(Code::denied,
              "enrol " + named(host) + ": its " + std::string(what) + " is enrolled for " + named(owner->second));
}

Result<Enrolment> Enrolments::add(const std::string& host, const KeyPair& keys, Replace replace) {
  VMSEC_CHECK(check_host_name(host));
  const std::lock_guard lock(mutex_);
  VMSEC_CHECK(read_all());
  VMSEC_CHECK(check_other(host, keys.attestation.key_digest, "attestation key"));
  VMSEC_CHECK(check_other(host, keys.endorsement.key_digest, "endorsement key (its TPM)"));
  VMSEC_TRY(const Known* before, known(host));
  if (before != nullptr && replace == Replace::no) {
    const auto& had = before->keys;
    if (!equal(had.attestation.name_digest, keys.attestation.name_digest) ||
        !equal(had.endorsement.name_digest, keys.endorsement.name_digest))
      return fail(Code::already_exists, "enrol " + named(host) + ": it is enrolled with attestation key " +
                                            to_hex(had.attestation.name_digest) + ", and shows " +
                                            to_hex(keys.attestation.name_digest));
    return answer(host, had, before->time);
  }
  const EnrolledHost enrolled{host, keys.endorsement.bytes, keys.attestation.bytes, now()};
  auto result = answer(host, keys, enrolled.time);
  // Written before it is done: an enrolment that no record tells of must not be.
  VMSEC_CHECK(
      journal_.audit({kind_ == Enrolled::guest ? "measured_boot.enrol_guest" : "measured_boot.enrol",
                      Outcome::succeeded, kind_ == Enrolled::guest ? Uuid::parse(host).value_or(Uuid()) : Uuid(),
                      kind_ == Enrolled::guest ? std::string() : host,
                      std::string(before != nullptr ? "replaced: " : "") + "attestation key " + result.attestation_key +
                          ", endorsement key " + result.endorsement_key}));
  VMSEC_CHECK(records_.put({record_of(host), wire::encode(enrolled)}));
  remember(host, {keys, enrolled.time});
  return result;
}

}  // namespace vmsec::boot
