// libvirt's event loop: one thread of this process runs it until the process ends.
#pragma once

#include "vmsec/result.hpp"

namespace vmsec::kvm {

// Registers libvirt's default event loop and starts its thread, once. Must come
// before the first connection: keepalive and events need it. Ignores SIGPIPE for
// the whole process where that would end it; programs that we run get the default.
Status start_event_loop();

}  // namespace vmsec::kvm
