// Files that the caller names: anything may be in them.
#pragma once

#include <string>

#include "vmsec/result.hpp"

namespace vmsec::cli {

// The whole file, which may have no end: no more than the limit is read. The error
// ("read policy web.toml: ...") is the caller's mistake.
Result<std::string> read_input(const std::string& what, const std::string& file, std::size_t limit);

}  // namespace vmsec::cli
