// The asking side: has that host booted what the reference says?
#pragma once

#include <chrono>
#include <functional>

#include "clocks.hpp"
#include "config.hpp"
#include "enrolments.hpp"
#include "evidence/judge.hpp"
#include "evidence/reference_reader.hpp"
#include "peer_link.hpp"
#include "prover.hpp"
#include "vmsec/service/attestation.hpp"

namespace vmsec::boot {

using SteadyTime = std::chrono::steady_clock::time_point;
using Clock = std::function<SteadyTime()>;

// Any thread, at once. Borrows the services and the prover.
class Verifier final : public Attestation {
 public:
  Verifier(Config config, Clock clock, Peers& peers, Records& records, Journal& journal, Prover& prover)
      : config_(std::move(config)),
        clock_(std::move(clock)),
        peers_(peers),
        journal_(journal),
        prover_(prover),
        enrolments_(records, journal),
        clocks_(records) {}

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

  Result<std::shared_ptr<const Reference>> reference();
  Result<PeerLink> link(const AttestHost& request);
  Result<AttestationReport> attest_peer(const AttestHost& request, const Reference& wanted);
  Result<AttestationReport> attest_here(const Reference& wanted);
  Result<Shown> ask(PeerLink& link, const TpmPublic& key, PcrSelection selection);
  Result<Shown> ask_here(PcrSelection selection);
  Result<Shown> shown_by(const std::string& host, PcrSelection selection);
  Result<Enrolment> enrol_checked(const EnrolHost& request);
  Status activate(PeerLink& link, const KeyPair& keys);
  // Of a quote that is genuine, whatever else was found out about the host.
  Status check_clock(const std::string& host, const Shown& shown, AttestationReport& report);
  void record(const char* action, Outcome outcome, const std::string& host, const std::string& detail);

  Config config_;
  Clock clock_;
  Peers& peers_;
  Journal& journal_;
  Prover& prover_;
  Enrolments enrolments_;
  Clocks clocks_;
  ReferenceReader reference_;
};

}  // namespace vmsec::boot
