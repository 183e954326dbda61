#include "judging.hpp"

namespace vmsec::boot {

PcrSelection selection_of(const Reference& wanted) {
  return {PcrMask{kUsualPcrs.bits | wanted.mask().bits}, wanted.bank};
}

bool is_silence(const Error& error) {
  return family(error.code) == Family::environment && error.code != Code::internal;
}

AttestationReport report_of(std::string name, Verdict verdict, std::string cause) {
  AttestationReport report;
  report.host = std::move(name);
  report.verdict = verdict;
  report.cause = std::move(cause);
  report.time = now();
  return report;
}

void check_age(AttestationReport& report, SteadyTime asked, SteadyTime now, std::chrono::seconds allowed) {
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - asked);
  if (report.verdict != Verdict::trusted || age <= allowed) return;
  report.verdict = Verdict::stale;
  report.cause = "the evidence took " + std::to_string(age.count()) + " s, at most " + std::to_string(allowed.count()) +
                 " s are allowed";
}

Result<ReferenceText> learned(const ShownEvidence& shown, const std::string& name) {
  AttestationReport unused;
  const auto confirmed = confirm(shown.evidence, shown.key, shown.demand, unused);
  if (!confirmed) return fail(Error{Code::untrusted, "learn from " + name + ": " + confirmed.error().message, 0, {}});
  PcrMask pcrs = kFirmwarePcrs;
  for (const auto& event : confirmed->replay.measurements)
    if (kLearnedPcrs.has(event.pcr)) pcrs.add(event.pcr);
  return ReferenceText{write_reference(confirmed->replay, pcrs, name)};
}

}  // namespace vmsec::boot
