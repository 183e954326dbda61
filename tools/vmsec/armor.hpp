// A ticket as text that survives mail and copying: base64 between BEGIN and END lines.
#pragma once

#include <string>
#include <string_view>

#include "vmsec/result.hpp"

namespace vmsec::cli {

std::string armor(std::string_view ticket);
// Strict: exactly one ticket, nothing but white space around it. `invalid_argument`
// names the line.
Result<std::string> dearmor(std::string_view text);

}  // namespace vmsec::cli
