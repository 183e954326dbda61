// Is a shared object whole? The dynamic linker maps what the headers announce and
// dies of it (SIGBUS) where the file is shorter: so this is asked first.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vmsec/export.hpp"
#include "vmsec/result.hpp"

namespace vmsec::loader {

inline constexpr std::size_t kElfHead = 4096;  // of a file: what check_elf needs at most

// `head` is the file's first bytes (kElfHead, or the whole file where it is
// shorter), `size` its length. `unsupported` with the cause.
VMSEC_EXPORT Status check_elf(std::string_view head, std::uint64_t size);

}  // namespace vmsec::loader
