// This host's own policy for domains that come from elsewhere.
//
// A configuration decides what libxl opens and runs in dom0, as root. So nothing is taken from a peer
// that is not listed here: every key has a rule (incoming_rules.cpp), and what has none is refused.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "vmsec/capability/migration.hpp"

namespace vmsec::xen {

// From the settings "incoming.<name>", lists separated by commas. What is not set is empty, and an
// empty list allows nothing.
struct IncomingPolicy {
  std::vector<std::string> disk_roots;    // folders for disks
  std::vector<std::string> kernel_roots;  // for kernel and ramdisk
  std::vector<std::string> bridges;

  static Result<IncomingPolicy> from_settings(const std::map<std::string, std::string>& settings);
};

// Where the domain is put on this host.
struct Placement {
  std::string pool;    // of CPUs; empty: Xen's own choice
  std::string suffix;  // behind the domain's name
};

// libxl's JSON for this host, written anew: what libxl reads is what was checked. `denied`, with the
// key and the cause, for what the policy does not allow or another domain than the description's;
// `invalid_argument` for what is no JSON.
Result<std::string> accept_configuration(const IncomingPolicy& policy, const DomainDescription& description,
                                         const Placement& placement);

}  // namespace vmsec::xen
