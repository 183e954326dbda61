// Linux' IMA list against a quote and a reference.
#pragma once

#include <cstddef>
#include <string>

#include "ima.hpp"
#include "reference.hpp"
#include "replay.hpp"

namespace vmsec::boot {

// Why PCR 10 is not what the reference allows by its [ima], or without one leaves to nobody; empty when it is.
// `list`: null where the host shows none.
// `replay` has the values of PCR 0 to 9 that a quote has confirmed.
Result<std::string> ima_cause(const Reference& reference, const ImaList* list, const Replay& replay);

}  // namespace vmsec::boot
