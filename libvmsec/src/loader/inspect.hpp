// A module or a plugin by its bytes alone: nothing of it is mapped or run.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "loader/manifest.hpp"
#include "vmsec/export.hpp"
#include "vmsec/trust.hpp"

namespace vmsec::loader {

struct Inspection {
  std::uint32_t abi_major = 0;  // of modules; a plugin's is in its entry
  std::uint32_t abi_minor = 0;
  Manifest manifest;          // of modules; of plugins the summary alone
  std::string manifest_text;  // as it is in the file: the entry's must be the same
  std::vector<std::string> needed;
  // Why it must not be loaded, in order of weight; empty: it may.
  std::vector<Error> refusals;
};

// An error where the bytes are no such object at all: `unsupported`. What can be
// read and must not be loaded is in `refusals`: `unsupported` (another ABI),
// `invalid_argument` (its manifest), `denied` (what it asks of the linker).
// The messages name the file.
VMSEC_EXPORT Result<Inspection> inspect(std::string_view bytes, ObjectKind kind, const std::string& file);

}  // namespace vmsec::loader
