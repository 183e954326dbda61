// What a policy gives to modules and withdraws from them.
#pragma once

#include <vector>

#include "vmsec/capability/domain_control.hpp"
#include "vmsec/export.hpp"
#include "vmsec/policy.hpp"
#include "vmsec/service/host_control.hpp"

namespace vmsec::host {

// Rule by rule, in the order of `after`, then those that are gone. `before`: null
// where no policy is in force.
VMSEC_EXPORT std::vector<GrantChange> grant_changes(const Policy* before, const Policy& after,
                                                    const std::vector<DomainInfo>& domains);

}  // namespace vmsec::host
