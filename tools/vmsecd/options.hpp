// vmsecd's configuration, complete: what the file left open is filled in, and what cannot work is an error.
#pragma once

#include <string>

#include "vmsec/host.hpp"

namespace vmsec::daemon {

Result<HostOptions> complete_options(const std::string& config_file);

// Everything that can be known without a hypervisor: names, addresses, the
// identity's files, the policy's form.
Status check_options(const HostOptions& options);

}  // namespace vmsec::daemon
