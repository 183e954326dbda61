// Is a plugin or a module whole? The dynamic linker maps what a shared object's
// headers announce, and the process dies of it (SIGBUS) where the file is shorter:
// so whoever loads one asks this first.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vmsec/export.hpp"
#include "vmsec/result.hpp"

namespace vmsec {

// `io` where it cannot be read, `unsupported` with the cause where it is no whole
// 64-bit shared object. The message names the file.
VMSEC_EXPORT Status check_object(const std::string& file);

inline constexpr std::size_t kObjectHead = 4096;
// The same of a file's first bytes (kObjectHead, or all where it is shorter) and its length.
VMSEC_EXPORT Status check_object_head(std::string_view head, std::uint64_t size);

}  // namespace vmsec
