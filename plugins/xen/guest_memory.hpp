// A guest's pages through Xen's foreign mappings.
#pragma once

#include <cstdint>
#include <string>

#include "vmsec/result.hpp"

namespace vmsec::xen {

// `length` bytes from guest-physical `address` on, of a domain whose addresses Xen translates (PVH, HVM).
// `invalid_argument` where the guest has no memory at one of the pages.
Result<std::string> read_translated(std::uint32_t domid, std::uint64_t address, std::uint64_t length);

}  // namespace vmsec::xen
