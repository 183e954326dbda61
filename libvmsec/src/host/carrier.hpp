// Whether a module can run where the configuration puts it: known before any of its code runs.
#pragma once

#include "loader/manifest.hpp"
#include "vmsec/export.hpp"
#include "vmsec/host.hpp"

namespace vmsec::host {

// In a process of its own. `invalid_argument`, with the key to set: where it must run in
// the host's, or where its deadline is no longer than its own settings let a call wait.
VMSEC_EXPORT Status check_worker(const loader::Manifest& manifest, const Settings& settings,
                                 const WorkerBudget& budget);

}  // namespace vmsec::host
