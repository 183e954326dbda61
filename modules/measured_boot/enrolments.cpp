#include "enrolments.hpp"

#include <algorithm>
#include <chrono>

#include "evidence/bytes.hpp"
#include "evidence/digest.hpp"

namespace vmsec::boot {
namespace {

constexpr std::size_t kMaxHostName = 100;

Result<KeyPair> keys_of(const EnrolledHost& host) {
  KeyPair keys;
  VMSEC_TRY(keys.endorsement, parse_public(host.endorsement_key, "enrolled endorsement key of " + host.host));
  VMSEC_TRY(keys.attestation, parse_public(host.attestation_key, "enrolled attestation key of " + host.host));
  return keys;
}

Enrolment answer(const EnrolledHost& host, const KeyPair& keys) {
  return {host.host, to_hex(keys.endorsement.name_digest), to_hex(keys.attestation.name_digest), host.time};
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

Result<KeyPair> Enrolments::find(const std::string& host) {
  VMSEC_CHECK(check_host_name(host));
  VMSEC_TRY(const auto record, records_.get({record_of(host)}));
  VMSEC_TRY(const auto enrolled, decoded(record));
  return keys_of(enrolled);
}

// One machine, one name: neither of its keys may be bound to a second host.
Status Enrolments::check_others(const std::string& host, const KeyPair& keys) {
  VMSEC_TRY(const auto list, records_.list({record_of({})}));
  for (const auto& record : list.records) {
    VMSEC_TRY(const auto other, decoded(record));
    if (other.host == host) continue;
    VMSEC_TRY(const auto theirs, keys_of(other));
    const bool attestation = equal(theirs.attestation.name_digest, keys.attestation.name_digest);
    if (attestation || equal(theirs.endorsement.name_digest, keys.endorsement.name_digest))
      return fail(Code::denied, "enrol " + named(host) + ": its " +
                                    (attestation ? "attestation key" : "endorsement key (its TPM)") +
                                    " is enrolled for " + named(other.host));
  }
  return {};
}

Result<Enrolment> Enrolments::add(const std::string& host, const KeyPair& keys, Replace replace) {
  VMSEC_CHECK(check_host_name(host));
  const std::lock_guard lock(mutex_);
  VMSEC_CHECK(check_others(host, keys));
  const auto record = records_.get({record_of(host)});
  if (!record && record.error().code != Code::not_found) return fail(record.error());
  if (record && replace == Replace::no) {
    VMSEC_TRY(const auto before, decoded(*record));
    VMSEC_TRY(const auto had, keys_of(before));
    if (!equal(had.attestation.name_digest, keys.attestation.name_digest) ||
        !equal(had.endorsement.name_digest, keys.endorsement.name_digest))
      return fail(Code::already_exists, "enrol " + named(host) + ": it is enrolled with attestation key " +
                                            to_hex(had.attestation.name_digest) + ", and shows " +
                                            to_hex(keys.attestation.name_digest));
    return answer(before, had);
  }
  const EnrolledHost enrolled{host, keys.endorsement.bytes, keys.attestation.bytes, now()};
  auto result = answer(enrolled, keys);
  // Written before it is done: an enrolment that no record tells of must not be.
  VMSEC_CHECK(
      journal_.audit({kind_ == Enrolled::guest ? "measured_boot.enrol_guest" : "measured_boot.enrol",
                      Outcome::succeeded, kind_ == Enrolled::guest ? Uuid::parse(host).value_or(Uuid()) : Uuid(),
                      kind_ == Enrolled::guest ? std::string() : host,
                      std::string(record ? "replaced: " : "") + "attestation key " + result.attestation_key +
                          ", endorsement key " + result.endorsement_key}));
  VMSEC_CHECK(records_.put({record_of(host), wire::encode(enrolled)}));
  return result;
}

}  // namespace vmsec::boot
