// A reference from the logs of several good boots.
#pragma once

#include <string>
#include <vector>

#include "log_view.hpp"
#include "reference.hpp"

namespace vmsec::boot {

struct NamedBoot {
  std::string name;  // for comments
  BootLogs logs;
};

struct Learned {
  std::string toml;
  std::vector<std::string> notes;  // what whoever reviews it should look at
};

// The file's text, to be reviewed. PCRs that are the same in all boots are held to their value; the others
// to their parts, each of which may be what it was in one of them. With `base` its rules stay, and what the
// logs have beyond them is added; the serial grows by one. nullptr: none. Files that IMA has measured are listed, with
// or without a base; violations are not let pass. `limit_exceeded` where the file would be too large to be read.
Result<Learned> learn_boots(const std::vector<NamedBoot>& boots, const Reference* base, Hash bank);

}  // namespace vmsec::boot
