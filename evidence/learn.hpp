// A reference from the logs of several good boots.
#pragma once

#include <string>
#include <vector>

#include "reference.hpp"

namespace vmsec::boot {

struct NamedLog {
  std::string name;  // for comments
  std::string log;
};

// The file's text, to be reviewed. PCRs that are the same in all boots are held to their value; the others
// to their parts, each of which may be what it was in one of them. With `base` its rules stay, and what the
// logs have beyond them is added; the serial grows by one. nullptr: none.
Result<std::string> learn_logs(const std::vector<NamedLog>& logs, const Reference* base, Hash bank);

}  // namespace vmsec::boot
