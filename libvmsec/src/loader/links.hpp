// What a verified object may link: a module the language's own libraries and
// those that the framework uses itself, a plugin its hypervisor's too.
#pragma once

#include <string_view>

#include "vmsec/trust.hpp"

namespace vmsec::loader {

// By the name in DT_NEEDED: a path is never on the list.
bool may_link(ObjectKind kind, std::string_view library);

}  // namespace vmsec::loader
