// The table by which a PV guest numbers its memory: it keeps it itself, Xen does not translate for it.
#pragma once

#include <cstdint>
#include <vector>

#include "vmsec/result.hpp"

namespace vmsec::xen {

// The machine's frames for `count` of the guest's own, from `first` on. `invalid_argument` where the guest has
// none; it writes the table as it runs, so what it says holds for a moment, or longer when it is paused.
Result<std::vector<std::uint64_t>> machine_frames(std::uint32_t domid, std::uint64_t first, std::uint64_t count);

}  // namespace vmsec::xen
