// The way to the agent in a guest: a Unix socket that is the host's end of its serial port.
#pragma once

#include <string>

#include "vmsec/capability/boot_evidence.hpp"
#include "vmsec/fd.hpp"

namespace vmsec::common {

// `unavailable` where nobody listens there.
Result<Fd> connect_guest_port(const std::string& path);

// One request, and its answer within the request's time. The socket is of no further use after an error.
Result<GuestReply> exchange(const Fd& socket, const GuestRequest& request);

}  // namespace vmsec::common
