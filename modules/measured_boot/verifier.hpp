// The asking side: has that host booted what the reference says?
#pragma once

#include <chrono>
#include <functional>

#include "config.hpp"
#include "enrolments.hpp"
#include "evidence/judge.hpp"
#include "peer_link.hpp"
#include "prover.hpp"
#include "reference_file.hpp"
#include "vmsec/service/attestation.hpp"

namespace vmsec::boot {

using SteadyTime = std::chrono::steady_clock::time_point;
using Clock = std::function<SteadyTime()>;

// Any thread, at once. Borrows the services and the prover.
class Verifier final : public Attestation {
 public:
  Verifier(Config config, Clock clock, Peers& peers, Records& records, Journal& journal, Prover& prover)
      : reference_(config.reference, records),
        config_(std::move(config)),
        clock_(std::move(clock)),
        peers_(peers),
        journal_(journal),
        prover_(prover),
        enrolments_(records, journal) {}

  Result<AttestationReport> attest(const AttestHost& request) override;
  Result<Enrolment> enrol(const EnrolHost& request) override;
  Result<ReferenceText> learn(const LearnReference& request) override;

 private:
  // Evidence with what it must fulfil.
  struct Shown {
    Evidence evidence;
    TpmPublic key;
    QuoteDemand demand;
  };

  Result<PeerLink> link(const AttestHost& request);
  Result<AttestationReport> attest_peer(const AttestHost& request, const Reference& wanted);
  Result<AttestationReport> attest_here(const Reference& wanted);
  Result<Shown> ask(PeerLink& link, const TpmPublic& key, PcrSelection selection);
  Result<Shown> ask_here(PcrSelection selection);
  Result<Shown> shown_by(const std::string& host, PcrSelection selection);
  Result<Enrolment> enrol_checked(const EnrolHost& request);
  Status activate(PeerLink& link, const KeyPair& keys);
  void record(const char* action, Outcome outcome, const std::string& host, const std::string& detail);

  ReferenceFile reference_;
  Config config_;
  Clock clock_;
  Peers& peers_;
  Journal& journal_;
  Prover& prover_;
  Enrolments enrolments_;
};

}  // namespace vmsec::boot
