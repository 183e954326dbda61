// Xen's request to a guest that it suspend itself. It stands in xenstore, and outlives who made it.
#pragma once

#include <cstdint>
#include <string>

#include "vmsec/result.hpp"

namespace vmsec::xen {

// Withdraws one that the guest has not taken, as libxl does when the guest's time is up: else it stops after everybody
// has agreed that it goes on. None there: done. On a worker of the toolstack: xenstored may hang.
Status withdraw_suspend(std::uint32_t domid, const std::string& operation);

}  // namespace vmsec::xen
