// The asking side, for guests: has this host's guest booted what its reference says? And secrets for those that have.
#pragma once

#include <map>
#include <mutex>

#include "clocks.hpp"
#include "config.hpp"
#include "enrolments.hpp"
#include "evidence/guest_seal.hpp"
#include "guest_link.hpp"
#include "judging.hpp"
#include "reference_file.hpp"
#include "verifier.hpp"
#include "vmsec/service/guest_attestation.hpp"

namespace vmsec::boot {

// Any thread, at once. Borrows the services.
class Guests final : public GuestAttestation {
 public:
  Guests(Config config, Clock clock, BootEvidence& evidence, Records& records, Journal& journal)
      : config_(std::move(config)),
        clock_(std::move(clock)),
        evidence_(evidence),
        records_(records),
        journal_(journal),
        enrolments_(records, journal, Enrolled::guest),
        clocks_(records, Enrolled::guest) {}

  Result<Enrolment> enrol(const EnrolGuest& request) override;
  Result<AttestationReport> attest(const GuestRef& request) override;
  Result<SecretRelease> release(const ReleaseSecret& request) override;
  Result<ReferenceText> learn(const GuestRef& request) override;

 private:
  // And where a secret for this very agent would go.
  struct Shown : ShownEvidence {
    std::string nonce;
    std::string exchange_key;
  };
  // A verdict, and what it was found by where the guest is enrolled and has answered.
  struct Judged {
    AttestationReport report;
    KeyPair keys;
    Shown shown;
  };

  Result<Reference> reference(const Uuid& domain);
  // A guest's agent remembers one quote: what is between it and a secret is one caller's.
  std::unique_lock<std::mutex> turn_of(const Uuid& domain);
  Result<Enrolment> enrol_checked(const EnrolGuest& request);
  Status activate(const Uuid& domain, const KeyPair& keys);
  Result<Shown> ask(const Uuid& domain, const TpmPublic& key, PcrSelection selection);
  Result<Judged> judged(const Uuid& domain);
  Result<Judged> judged(const Uuid& domain, const Reference& wanted);
  Status deliver(const ReleaseSecret& request, const Judged& to);
  Result<SecretRelease> release_to(const ReleaseSecret& request, Judged judged);
  void record(const char* action, Outcome outcome, const Uuid& domain, const std::string& detail);

  Config config_;
  Clock clock_;
  BootEvidence& evidence_;
  Records& records_;
  Journal& journal_;
  Enrolments enrolments_;
  Clocks clocks_;
  std::mutex serials_;
  std::mutex turns_mutex_;
  std::map<std::string, std::mutex> turns_;  // of each guest that was asked for
};

}  // namespace vmsec::boot
