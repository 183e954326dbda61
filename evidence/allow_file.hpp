// The list of files that a reference names: as sha256sum writes it.
#pragma once

#include <string>

#include "reference.hpp"

namespace vmsec::boot {

// Beside the reference at `path`; must have the digest that the reference says, so that
// who has reviewed the one has reviewed the other.
Status read_allow_file(const std::string& path, ImaReference& ima);
// `file` names it in errors, which give its line.
Status add_allowed(std::string_view text, const std::string& file, ImaReference& ima);

}  // namespace vmsec::boot
