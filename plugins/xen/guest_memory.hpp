// A guest's pages through Xen's foreign mappings.
#pragma once

#include <cstdint>
#include <string>

#include "vmsec/result.hpp"

namespace vmsec::xen {

// Who numbers the guest's frames: Xen for PVH and HVM, the guest itself for PV.
enum class Frames { translated, guests_own };
// `length` bytes from guest-physical `address` on. `invalid_argument` where the guest has no memory at
// one of the pages.
Result<std::string> read_memory(std::uint32_t domid, Frames whose, std::uint64_t address, std::uint64_t length);

}  // namespace vmsec::xen
