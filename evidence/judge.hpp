// From evidence to verdict. No TPM, no network: bytes in, verdict out.
#pragma once

#include "evidence.hpp"
#include "ima.hpp"
#include "module_log.hpp"
#include "quote.hpp"
#include "reference.hpp"
#include "vmsec/service/attestation.hpp"

namespace vmsec::boot {

// A genuine quote, and a log that explains it.
struct Confirmed {
  Quote quote;
  ModuleLog modules;  // views into the evidence
  Replay replay;      // its values are the quote's own for the PCRs that it is over
  ImaList ima;        // views into the evidence
};

// Fills the report's counters as soon as the quote is known to be genuine.
// Errors name the first thing that is wrong; all of them mean "untrusted".
Result<Confirmed> confirm(const Evidence& evidence, const TpmPublic& key, const QuoteDemand& demand,
                          AttestationReport& report);

// Sets verdict, cause and PCRs. Never throws away what was found out before.
void judge(const Evidence& evidence, const TpmPublic& key, const QuoteDemand& demand, const Reference& reference,
           AttestationReport& report);

}  // namespace vmsec::boot
