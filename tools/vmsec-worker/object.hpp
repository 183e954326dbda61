// The module's object, mapped inside of the sandbox.
#pragma once

#include <string>
#include <vector>

#include "vmsec/abi.h"
#include "vmsec/result.hpp"

namespace vmsec::worker {

// Libraries that the object links: from the system, while that can still be seen.
Status load_libraries(const std::vector<std::string>& names);
// Runs the object's initialisers: the module's own code.
Result<const vmsec_module*> load_object();

}  // namespace vmsec::worker
