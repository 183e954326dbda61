// libvirt's event loop: one thread of this process runs it until the process ends.
#pragma once

#include "vmsec/result.hpp"

namespace vmsec::kvm {

// Registers libvirt's default event loop and starts its thread, once. Must come
// before the first connection: keepalive and events need it.
Status start_event_loop();

}  // namespace vmsec::kvm
