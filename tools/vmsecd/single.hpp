// One agent for one state folder: two would spend the same tickets and write the same records.
#pragma once

#include <string>

#include "vmsec/fd.hpp"

namespace vmsec::daemon {

// Holds <state>/vmsecd.lock as long as the descriptor lives; a crash lets go of
// it. `already_exists` while another agent holds it.
Result<Fd> lock_state(const std::string& state_dir);

}  // namespace vmsec::daemon
