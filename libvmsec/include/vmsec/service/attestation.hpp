// Attestation: has this host booted what the reference says? Implemented by the
// measured_boot module; asked by operators and, through the Host, by other modules.
#pragma once

#include <string>
#include <vector>

#include "vmsec/interface.hpp"

namespace vmsec {

// Never one for another: a host that does not answer is not an untrusted one.
enum class Verdict : std::uint32_t {
  unknown = 0,
  trusted = 1,
  untrusted = 2,    // its evidence is sound and is not what the reference says, or is forged
  unreachable = 3,  // no evidence came
  stale = 4,        // the evidence is too old
};

inline std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::unknown:
      return "unknown";
    case Verdict::trusted:
      return "trusted";
    case Verdict::untrusted:
      return "untrusted";
    case Verdict::unreachable:
      return "unreachable";
    case Verdict::stale:
      return "stale";
  }
  return "unknown";
}

struct AttestHost {
  std::string host;              // empty: the peer of `connection`
  std::uint64_t connection = 0;  // 0: a new connection to `host`; else the quote is bound to this one
  static constexpr std::string_view kMessage = "vmsec.AttestHost";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "host", &AttestHost::host),
                        wire::field(2, "connection", &AttestHost::connection));
  }
};

struct PcrValue {
  std::uint32_t pcr = 0;
  std::string algorithm;  // "sha256"
  std::string value;      // hexadecimal
  bool expected = false;  // as the reference says
  std::string reference;  // what the reference says, where it differs
  static constexpr std::string_view kMessage = "vmsec.PcrValue";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "pcr", &PcrValue::pcr), wire::field(2, "algorithm", &PcrValue::algorithm),
                        wire::field(3, "value", &PcrValue::value), wire::field(4, "expected", &PcrValue::expected),
                        wire::field(5, "reference", &PcrValue::reference));
  }
};

struct AttestationReport {
  std::string host;
  Verdict verdict = Verdict::unknown;
  std::string cause;            // of any verdict but trusted: the first thing that was wrong
  UnixSeconds time;             // when the quote was verified
  std::string attestation_key;  // SHA-256 of its public area's name
  std::vector<PcrValue> pcrs;
  std::uint64_t reset_count = 0;
  std::uint64_t restart_count = 0;
  std::uint32_t events = 0;        // in the event log
  std::uint32_t resets_since = 0;  // how often its TPM was reset (it booted) since it was last attested
  static constexpr std::string_view kMessage = "vmsec.AttestationReport";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "host", &AttestationReport::host), wire::field(2, "verdict", &AttestationReport::verdict),
        wire::field(3, "cause", &AttestationReport::cause), wire::field(4, "time", &AttestationReport::time),
        wire::field(5, "attestation_key", &AttestationReport::attestation_key),
        wire::field(6, "pcrs", &AttestationReport::pcrs),
        wire::field(7, "reset_count", &AttestationReport::reset_count),
        wire::field(8, "restart_count", &AttestationReport::restart_count),
        wire::field(9, "events", &AttestationReport::events),
        wire::field(15, "resets_since", &AttestationReport::resets_since));
  }
};

struct EnrolHost {
  std::string host;      // connects to it
  bool replace = false;  // an operator's word that the host's key may change
  static constexpr std::string_view kMessage = "vmsec.EnrolHost";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "host", &EnrolHost::host), wire::field(2, "replace", &EnrolHost::replace));
  }
};

struct Enrolment {
  std::string host;
  std::string endorsement_key;  // SHA-256 of its public area's name
  std::string attestation_key;
  UnixSeconds time;
  static constexpr std::string_view kMessage = "vmsec.Enrolment";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "host", &Enrolment::host), wire::field(2, "endorsement_key", &Enrolment::endorsement_key),
        wire::field(3, "attestation_key", &Enrolment::attestation_key), wire::field(4, "time", &Enrolment::time));
  }
};

struct LearnReference {
  std::string host;  // empty: this host
  static constexpr std::string_view kMessage = "vmsec.LearnReference";
  static constexpr auto fields() { return wire::fields(wire::field(1, "host", &LearnReference::host)); }
};

struct ReferenceText {
  std::string toml;  // a reference file, to be reviewed and stored by the operator
  static constexpr std::string_view kMessage = "vmsec.ReferenceText";
  static constexpr auto fields() { return wire::fields(wire::field(1, "toml", &ReferenceText::toml)); }
};

struct VerdictQuery {
  std::string host;  // empty: every enrolled host
  static constexpr std::string_view kMessage = "vmsec.VerdictQuery";
  static constexpr auto fields() { return wire::fields(wire::field(1, "host", &VerdictQuery::host)); }
};

// What was last found out about a host.
struct HostVerdict {
  std::string host;
  Verdict verdict = Verdict::unknown;  // unknown: not attested since the agent started, or nobody can tell
  std::string cause;                   // of any verdict but trusted
  UnixSeconds since;                   // of this verdict
  UnixSeconds checked;                 // the last time that the host was attested; 0: never
  std::uint64_t age = 0;               // seconds since then
  bool revoked = false;                // by an operator
  static constexpr std::string_view kMessage = "vmsec.HostVerdict";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "host", &HostVerdict::host), wire::field(2, "verdict", &HostVerdict::verdict),
                        wire::field(3, "cause", &HostVerdict::cause), wire::field(4, "since", &HostVerdict::since),
                        wire::field(5, "checked", &HostVerdict::checked), wire::field(6, "age", &HostVerdict::age),
                        wire::field(7, "revoked", &HostVerdict::revoked));
  }
};

struct VerdictList {
  std::vector<HostVerdict> hosts;   // by name
  std::uint64_t last = 0;           // the newest change's sequence
  std::uint64_t watch_seconds = 0;  // how often each is attested; 0: on request only
  static constexpr std::string_view kMessage = "vmsec.VerdictList";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "hosts", &VerdictList::hosts), wire::field(2, "last", &VerdictList::last),
                        wire::field(3, "watch_seconds", &VerdictList::watch_seconds));
  }
};

struct NextVerdicts {
  std::uint64_t after = 0;    // changes with a higher sequence; 0: from the oldest kept
  Microseconds wait;          // how long to wait for the first one; at most 10 s
  std::uint32_t maximum = 0;  // 0: 100
  static constexpr std::string_view kMessage = "vmsec.NextVerdicts";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "after", &NextVerdicts::after), wire::field(2, "wait", &NextVerdicts::wait),
                        wire::field(3, "maximum", &NextVerdicts::maximum));
  }
};

struct AttestationChange {
  std::uint64_t sequence = 0;  // ascending from 1 since the agent started
  std::string host;
  Verdict before = Verdict::unknown;
  Verdict after = Verdict::unknown;
  std::string cause;  // of any verdict but trusted
  UnixSeconds time;
  static constexpr std::string_view kMessage = "vmsec.AttestationChange";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "sequence", &AttestationChange::sequence), wire::field(2, "host", &AttestationChange::host),
        wire::field(3, "before", &AttestationChange::before), wire::field(4, "after", &AttestationChange::after),
        wire::field(5, "cause", &AttestationChange::cause), wire::field(6, "time", &AttestationChange::time));
  }
};

struct AttestationChanges {
  std::vector<AttestationChange> changes;  // none when the time was up
  std::uint64_t missed = 0;                // how many after `after` were no longer kept
  std::uint64_t last = 0;                  // the newest sequence there is
  static constexpr std::string_view kMessage = "vmsec.AttestationChanges";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "changes", &AttestationChanges::changes),
                        wire::field(2, "missed", &AttestationChanges::missed),
                        wire::field(3, "last", &AttestationChanges::last));
  }
};

struct RevokeHost {
  std::string host;    // an enrolled one
  std::string reason;  // required
  std::string by;      // as its caller names who asked
  bool undo = false;   // takes a revocation back
  static constexpr std::string_view kMessage = "vmsec.RevokeHost";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "host", &RevokeHost::host), wire::field(2, "reason", &RevokeHost::reason),
                        wire::field(3, "by", &RevokeHost::by), wire::field(4, "undo", &RevokeHost::undo));
  }
};

// Any thread. attest() answers a report for every verdict; an Error means that
// the call itself could not be made (no such host configured, no reference file).
// Modules may ask attest(), status() and next() of each other; the rest is for who
// operates the host (for_modules()).
class Attestation {
 public:
  virtual ~Attestation() = default;
  virtual Result<AttestationReport> attest(const AttestHost&) = 0;
  // Proves that the host's attestation key lives in the TPM of its endorsement
  // key (TPM 2.0 part 1, credential activation), and keeps both. `already_exists`
  // for a host that has another key, unless replace is set.
  virtual Result<Enrolment> enrol(const EnrolHost&) = 0;
  virtual Result<ReferenceText> learn(const LearnReference&) = 0;
  // The last verdict on each enrolled host, or on one: `not_found` where it is not enrolled.
  virtual Result<VerdictList> status(const VerdictQuery&) = 0;
  // The last 1,000 changes of verdicts are kept. Any number may wait at once.
  virtual Result<AttestationChanges> next(const NextVerdicts&) = 0;
  // An operator's word: the host is untrusted, and is not even asked, until it is enrolled
  // anew with `replace`, or the word is taken back. Survives restarts.
  virtual Result<HostVerdict> revoke(const RevokeHost&) = 0;
};

template <>
struct Methods<Attestation> {
  static constexpr std::string_view kName = "vmsec.Attestation";
  static constexpr auto table() {
    return std::make_tuple(method(1, "Attest", &Attestation::attest), method(2, "Enrol", &Attestation::enrol),
                           method(3, "Learn", &Attestation::learn), method(4, "Status", &Attestation::status),
                           method(5, "Next", &Attestation::next), method(6, "Revoke", &Attestation::revoke));
  }
  // What a module may ask: whom to trust is not for modules to say.
  static constexpr bool for_modules(std::uint32_t number) { return number == 1 || number == 4 || number == 5; }
};

template <>
class Proxy<Attestation> final : public Remote<Attestation> {
 public:
  using Remote::Remote;
  Result<AttestationReport> attest(const AttestHost& r) override { return invoke<1>(r); }
  Result<Enrolment> enrol(const EnrolHost& r) override { return invoke<2>(r); }
  Result<ReferenceText> learn(const LearnReference& r) override { return invoke<3>(r); }
  Result<VerdictList> status(const VerdictQuery& r) override { return invoke<4>(r); }
  Result<AttestationChanges> next(const NextVerdicts& r) override { return invoke<5>(r); }
  Result<HostVerdict> revoke(const RevokeHost& r) override { return invoke<6>(r); }
};

}  // namespace vmsec
