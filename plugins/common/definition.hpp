// What every plugin asks of a definition before it makes a domain of it.
#pragma once

#include <string>
#include <vector>

#include "vmsec/capability/interchange.hpp"

namespace vmsec::common {

// `invalid_argument` with the place, for what is no definition. Looks at no file.
Status check_definition(const DomainDefinition& definition);
// `unsupported` with each loss that `without` does not name; `invalid_argument` for a name that is no loss.
Status check_losses(const std::vector<Loss>& losses, const std::vector<std::string>& without);
// `not_found` for a disk, kernel, initrd or bridge that is not on this host; `invalid_argument` for one that is there
// and is something else. What was lost in the translation is not asked for.
Status check_host_has(const DomainDefinition& definition, const std::vector<Loss>& losses);

// All of it, in that order, for a plugin's define(): `domain` and `definition.domain` must be the same.
Status check_define(const DefineDomain& request, const std::vector<Loss>& losses);

}  // namespace vmsec::common
