// Measured before it is loaded: modules and plugins, into a PCR of the host's TPM.
#pragma once

#include <string>

#include "vmsec/host.hpp"

namespace vmsec::host {

// Has vmsec-measure extend the PCR that the options name and write the log; without one
// nothing is done. An error, with what vmsec-measure says, means that the object must not
// be loaded; it may take half a minute. `digest`: SHA-256, in hexadecimal.
Status measure_object(const HostOptions& options, const std::string& kind, const std::string& name,
                      const std::string& digest);

}  // namespace vmsec::host
