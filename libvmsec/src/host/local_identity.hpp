// A host's identity: as configured, or one of its own making.
#pragma once

#include "vmsec/host.hpp"
#include "vmsec/identity.hpp"

namespace vmsec::host {

Result<HostIdentity> load_identity(const HostOptions& options);

// For a host without a configured identity: a key of its own, made at the first
// use, so that its audit log is signed all the same. No peer accepts it.
Result<HostIdentity> local_identity(const std::string& state_dir, const std::string& name);

}  // namespace vmsec::host
