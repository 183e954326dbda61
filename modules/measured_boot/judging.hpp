// What hosts and guests are asked for, and how what they show becomes a report.
#pragma once

#include <chrono>
#include <string>

#include "clock.hpp"
#include "evidence/judge.hpp"
#include "vmsec/service/attestation.hpp"

namespace vmsec::boot {

// Evidence with what it must fulfil.
struct ShownEvidence {
  Evidence evidence;
  TpmPublic key;
  QuoteDemand demand;
};

// What is quoted for a reference: always what a boot is usually asked for, too.
PcrSelection selection_of(const Reference& wanted);

// Whether the error is that no evidence came, and nothing is known to be wrong with who was asked.
bool is_silence(const Error& error);

AttestationReport report_of(std::string name, Verdict verdict, std::string cause);

// Trust in evidence that took longer than allowed is stale.
void check_age(AttestationReport& report, SteadyTime asked, SteadyTime now, std::chrono::seconds allowed);

// A reference by what was shown, if its quote and log fit together; else `untrusted`.
Result<ReferenceText> learned(const ShownEvidence& shown, const std::string& name);

}  // namespace vmsec::boot
