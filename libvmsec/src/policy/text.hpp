// What must be true of a file's text before a TOML parser sees it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "vmsec/result.hpp"
#include "vmsec/settings.hpp"

namespace vmsec::policy {

// Bytes of the UTF-8 character at the beginning of the text; 0 where it is none
// (overlong forms and surrogates are none).
std::size_t utf8_length(std::string_view text);

// Size, NUL, UTF-8, how deep tables and arrays nest, and table headers without a
// name. The parser builds and frees nested tables by recursion: a file of dots
// would overflow the stack.
std::optional<Finding> find_hostile_text(std::string_view text);

// The file's bytes; at most PolicyLimits::kFileSize of them.
Result<std::string> read_text(const std::string& path);

}  // namespace vmsec::policy
