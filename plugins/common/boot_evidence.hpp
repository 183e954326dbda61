// BootEvidence: the host's TPM and event log, where the operator says they are. Of guests it knows nothing.
#pragma once

#include <memory>

#include "vmsec/backend.hpp"

namespace vmsec::common {

// Keeps a copy of the options' `tpm_tcti`, `event_log` and `ima_list`.
std::unique_ptr<BootEvidence> make_boot_evidence(const BackendOptions& options);

}  // namespace vmsec::common
