// Linux' IMA list against a quote and a reference.
#pragma once

#include <cstddef>
#include <string>

#include "ima.hpp"
#include "reference.hpp"
#include "replay.hpp"

namespace vmsec::boot {

// Why the entries that were quoted are not what the reference allows; empty when they are.
// `replay` has the values of PCR 0 to 9 that a quote has confirmed.
Result<std::string> ima_cause(const ImaReference& reference, const ImaList& list, const Replay& replay);

}  // namespace vmsec::boot
