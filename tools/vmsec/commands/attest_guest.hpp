// The guests' side of vmsec attest, and what it prints as the hosts' side does.
#pragma once

#include "context.hpp"
#include "vmsec/service/attestation.hpp"

namespace vmsec::cli {

// `what` names whose it is: "host", "guest".
void print_attestation(const AttestationReport& report, const std::string& what);
void print_enrolment(const Enrolment& made, const std::string& what);
Exit exit_of(Verdict verdict);

Ending enrol_guest(Context& context, const std::string& vm, bool replace);
Ending learn_guest(Context& context, const std::string& vm);
// attest guest, attest release
void add_attest_guest(CLI::App& attest, Context& context);

}  // namespace vmsec::cli
