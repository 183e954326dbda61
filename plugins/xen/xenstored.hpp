// Is Xen's store there? libxl hangs where it is not.
#pragma once

#include <chrono>
#include <string>

#include "vmsec/result.hpp"

namespace vmsec::xen {

inline constexpr const char* kXenstoredSocket = "/run/xenstored/socket";

// `unavailable` where nobody listens, `timeout` where nobody answers within `limit`.
Status probe_xenstored(const std::string& socket, std::chrono::milliseconds limit);

}  // namespace vmsec::xen
