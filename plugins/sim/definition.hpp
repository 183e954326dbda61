// A DomainDefinition as a simulated domain's file, and back. Pure: looks at no host.
#pragma once

#include "domain_spec.hpp"
#include "vmsec/capability/interchange.hpp"

namespace vmsec::sim {

inline constexpr std::string_view kSimFormat = "sim-toml";

// What a simulated domain can have of a definition that has no flaw.
DomainSpec spec_of(const DomainDefinition& definition);
// The same as text, and what it leaves out: places of the definition, in its order.
Translation to_sim(const DomainDefinition& definition);

// The definition of a domain file, and what no definition can say: places of the file. `unsupported` where even so no
// definition comes of it.
Result<ExportedDomain> from_sim(std::string_view text);

}  // namespace vmsec::sim
