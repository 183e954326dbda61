// Length-framed packets over a Unix stream socket, with descriptors.
//
// A frame is its length (4 bytes, big endian, at most 16 MiB) and that many
// bytes; its descriptors (at most 16) come with the first byte (unix(7), SCM_RIGHTS).
#pragma once

#include <string>

#include "rpc/descriptors.hpp"
#include "vmsec/export.hpp"
#include "vmsec/wire.hpp"

namespace vmsec::rpc {

inline constexpr std::uint32_t kMaximumFrame = 16 << 20;

// How long a frame may take from its first byte to its last.
inline constexpr Microseconds kFrameTime{30'000'000};

// One thread at a time per direction. After an error the connection is of no use
// any more. `timeout`: the other end did not take it in time.
VMSEC_EXPORT Status send_frame(int socket, const Packet& packet, Microseconds time = kFrameTime);
// Waits for a frame for as long as it takes, then for its rest: `timeout` when that
// does not come in time, `unavailable` at an orderly end before a frame, `io` within one.
VMSEC_EXPORT Result<Packet> receive_frame(int socket, Microseconds time = kFrameTime);

VMSEC_EXPORT Result<Fd> connect_unix(const std::string& path);
// The socket's file has mode 0600. Replaces one that nobody listens on;
// `already_exists` when somebody does, or when the file is no socket.
VMSEC_EXPORT Result<Fd> listen_unix(const std::string& path);

}  // namespace vmsec::rpc
