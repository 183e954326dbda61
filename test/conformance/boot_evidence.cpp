#include "fixture.hpp"
#include "suite.hpp"

namespace vmsec::conformance {
namespace {

Outcome evidence_is_told(Fixture& fixture) {
  CONFORMANCE_TRY(const auto evidence, fixture.open_a<BootEvidence>()->host({}));
  CONFORMANCE_EXPECT(!evidence.tcti.empty(), "no TCTI");
  CONFORMANCE_EXPECT(evidence.event_log.size() > 64,
                     "an event log of " + std::to_string(evidence.event_log.size()) + " bytes");
  return passed(std::to_string(evidence.event_log.size()) + " bytes of event log");
}

Outcome evidence_is_stable(Fixture& fixture) {
  CONFORMANCE_TRY(const auto first, fixture.open_a<BootEvidence>()->host({}));
  CONFORMANCE_TRY(const auto second, fixture.open_a<BootEvidence>()->host({}));
  CONFORMANCE_EXPECT(first.event_log == second.event_log, "two reads differ");
  return passed();
}

// A log in the TCG's crypto-agile form begins with this event (PC Client Platform Firmware Profile, 9.4.5.1).
Outcome log_is_crypto_agile(Fixture& fixture) {
  CONFORMANCE_TRY(const auto evidence, fixture.open_a<BootEvidence>()->host({}));
  constexpr std::size_t kHeader = 32;  // PCR, type, SHA-1, size
  CONFORMANCE_EXPECT(evidence.event_log.compare(kHeader, 15, "Spec ID Event03") == 0, "it does not say its form");
  return passed();
}

Outcome tpm_has_a_transport(Fixture& fixture) {
  CONFORMANCE_TRY(const auto evidence, fixture.open_a<BootEvidence>()->host({}));
  for (const std::string_view kind : {"device:", "swtpm:", "tabrmd", "mssim:"})
    if (evidence.tcti.starts_with(kind)) return passed(std::string(kind.substr(0, kind.find(':'))));
  return failed("its TCTI is no transport that tpm2-tss has: " + evidence.tcti);
}

// A hypervisor without the port says so; one that has it asks nobody else.
Outcome stranger_is_refused(Fixture& fixture) {
  const auto said = fixture.open_a<BootEvidence>()->guest({stranger(), "?", 1000});
  if (!said && said.error().code == Code::unsupported) return from_error(said.error());
  return expect(Code::not_found, said);
}

}  // namespace

void add_boot_evidence(Checks& checks) {
  checks.push_back({"BootEvidence", "the host's TPM and event log are told", evidence_is_told});
  checks.push_back({"BootEvidence", "two reads agree", evidence_is_stable});
  checks.push_back({"BootEvidence", "the event log says that it is crypto-agile", log_is_crypto_agile});
  checks.push_back({"BootEvidence", "the TPM is reached by a transport of tpm2-tss", tpm_has_a_transport});
  checks.push_back({"BootEvidence", "a guest that is not there is not asked", stranger_is_refused});
}

}  // namespace vmsec::conformance
