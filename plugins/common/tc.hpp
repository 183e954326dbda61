// Bandwidth of a tap device in this network namespace, by the kernel's traffic
// control.
//
// What the guest receives leaves the host through the tap: a token bucket (tbf)
// at its root bounds that. What the guest sends arrives on the tap, where
// nothing can be queued: it is redirected to an intermediate device (ifb) of its
// own, and a tbf at that one's root bounds it.
#pragma once

#include <string>

#include "vmsec/capability/io_control.hpp"

namespace vmsec::common {

// `not_found` where this namespace has no such interface, `unsupported` where
// tc or a part of the kernel is missing.
Result<NicLimit> read_tap_limit(const std::string& tap);
Status write_tap_limit(const NicLimit& limit);

}  // namespace vmsec::common
