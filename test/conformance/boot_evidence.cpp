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

}  // namespace

void add_boot_evidence(Checks& checks) {
  checks.push_back({"BootEvidence", "the host's TPM and event log are told", evidence_is_told});
  checks.push_back({"BootEvidence", "two reads agree", evidence_is_stable});
}

}  // namespace vmsec::conformance
