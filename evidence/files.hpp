// Small files of the operator's.
#pragma once

#include <string>
#include <string_view>

#include "vmsec/result.hpp"

namespace vmsec::boot {

// The whole file. `what` names it in errors; `io` when it cannot be read,
// `limit_exceeded` beyond `limit` bytes.
Result<std::string> read_file(const std::string& path, std::size_t limit, std::string_view what);

}  // namespace vmsec::boot
