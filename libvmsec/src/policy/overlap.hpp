// Which rules may be about the same domains.
#pragma once

#include "vmsec/policy.hpp"

namespace vmsec::policy {

// Whether some domain may be matched by both. Only what is sure says no.
bool may_overlap(const Selector& a, const Selector& b);

}  // namespace vmsec::policy
