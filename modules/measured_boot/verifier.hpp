// The asking side: has that host booted what the reference says?
#pragma once

#include <chrono>
#include <mutex>
#include <optional>

#include "clocks.hpp"
#include "config.hpp"
#include "enrolments.hpp"
#include "judging.hpp"
#include "peer_link.hpp"
#include "prover.hpp"
#include "reference_file.hpp"
#include "revocations.hpp"
#include "verdicts.hpp"
#include "vmsec/service/attestation.hpp"
#include "watch.hpp"

namespace vmsec::boot {

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
        enrolments_(records, journal),
        clocks_(records),
        revocations_(records),
        verdicts_(journal),
        links_(peers),
        watch_(
            config_.watch, clock_, [this](const std::string& host) { visit(host); },
            [this](SteadyTime now) { sweep(now); }) {}

  // What is on record: before the first call.
  Status load();
  // From now on each enrolled host is attested again and again, where the configuration wants that.
  [[nodiscard]] Watch& watch() { return watch_; }

  Result<AttestationReport> attest(const AttestHost& request) override;
  Result<Enrolment> enrol(const EnrolHost& request) override;
  Result<ReferenceText> learn(const LearnReference& request) override;
  Result<VerdictList> status(const VerdictQuery& request) override;
  Result<AttestationChanges> next(const NextVerdicts& request) override;
  Result<HostVerdict> revoke(const RevokeHost& request) override;

 private:
  Result<PeerLink> link(const AttestHost& request);
  // As attest_peer(), and what was found out is noted.
  Result<AttestationReport> attest_noted(const AttestHost& request);
  // Of a revoked host; none: it is not revoked.
  Result<std::optional<AttestationReport>> revoked_report(const std::string& host);
  void visit(const std::string& host);
  void sweep(SteadyTime now);
  Result<HostVerdict> revoke_now(const RevokeHost& request);
  Result<HostVerdict> reinstate(const RevokeHost& request);
  // `before`: why the host was revoked when the enrolment began. `revoked`: it is, and not only by that.
  Status check_not_revoked(const EnrolHost& request, const std::optional<std::string>& before);
  Status note_enrolled(const EnrolHost& request);
  [[nodiscard]] Result<HostVerdict> verdict_on(const std::string& host) const;
  Result<AttestationReport> attest_peer(const AttestHost& request);
  Result<AttestationReport> attest_here();
  Result<ShownEvidence> ask(PeerLink& link, const TpmPublic& key, PcrSelection selection);
  Result<ShownEvidence> ask_here(PcrSelection selection);
  Result<ShownEvidence> shown_by(const std::string& host, PcrSelection selection);
  Result<Enrolment> enrol_checked(const EnrolHost& request);
  Status activate(PeerLink& link, const KeyPair& keys);
  void record(const char* action, Outcome outcome, const std::string& host, const std::string& detail);

  ReferenceFile reference_;
  Config config_;
  Clock clock_;
  std::mutex standing_;  // enrolled, revoked, reinstated: one after the other
  Peers& peers_;
  Journal& journal_;
  Prover& prover_;
  Enrolments enrolments_;
  Clocks clocks_;
  Revocations revocations_;
  Verdicts verdicts_;
  OpenLinks links_;
  Watch watch_;  // ends before all that its threads use
};

}  // namespace vmsec::boot
