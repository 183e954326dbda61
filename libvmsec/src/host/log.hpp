// The process's log: one line per event on standard error.
#pragma once

#include <string>

#include "vmsec/export.hpp"
#include "vmsec/service/journal.hpp"

namespace vmsec::host {

// Control characters and bytes beyond ASCII are escaped: a line is one line.
VMSEC_EXPORT void write_log(LogLevel level, const std::string& source, const std::string& text);

}  // namespace vmsec::host
