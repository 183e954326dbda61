// A quote, and the values of the PCRs that it is over: of one moment.
#pragma once

#include "evidence/evidence.hpp"
#include "tpm.hpp"

namespace vmsec::boot {

// Fills in `attest`, `signature` and `claimed`. PCRs go on being extended (by a kernel that measures files, by modules
// that are loaded): it is tried again some times, and `unavailable` where they never hold still.
Result<Evidence> quoted_evidence(Tpm& tpm, const KeyBlob& key, std::string_view qualifying_data,
                                 PcrSelection selection);

}  // namespace vmsec::boot
