// Addresses as people write them, and sockets to and at them.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "vmsec/export.hpp"
#include "vmsec/fd.hpp"
#include "vmsec/result.hpp"
#include "vmsec/types.hpp"

namespace vmsec::channel {

using Deadline = std::chrono::steady_clock::time_point;
VMSEC_EXPORT Deadline deadline_in(Microseconds timeout);

struct Address {
  std::string host;
  std::string port;
};
// "host:port", "1.2.3.4:port", "[v6]:port"; for listening also ":port" (all addresses).
VMSEC_EXPORT Result<Address> parse_address(std::string_view text);

// Waits until the socket is ready for `events` (poll); `timeout` at the deadline.
// Without a deadline it waits for as long as it takes.
VMSEC_EXPORT Status wait_for(int fd, short events, const Deadline* deadline);

// Non-blocking sockets, close-on-exec.
VMSEC_EXPORT Result<Fd> connect_to(std::string_view address, Deadline deadline);
Result<Fd> listen_at(std::string_view address);
enum class Blocking { no, yes };
Status set_blocking(int fd, Blocking blocking);

std::string local_address(int fd);
std::string remote_address(int fd);

}  // namespace vmsec::channel
