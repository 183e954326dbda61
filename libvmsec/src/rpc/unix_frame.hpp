// Length-framed packets over a Unix stream socket, with descriptors.
//
// A frame is its length (4 bytes, big endian, at most 16 MiB) and that many
// bytes; its descriptors (at most 16) come with the first byte (unix(7), SCM_RIGHTS).
#pragma once

#include <string>

#include "vmsec/wire.hpp"

namespace vmsec::rpc {

inline constexpr std::uint32_t kMaximumFrame = 16 << 20;
inline constexpr std::size_t kMaximumDescriptors = 16;

// One thread at a time per direction.
Status send_frame(int socket, const Packet& packet);
// `unavailable` at an orderly end before a frame, `io` within one.
Result<Packet> receive_frame(int socket);

Result<Fd> connect_unix(const std::string& path);
// Replaces a socket file that nobody listens on; `already_exists` when somebody does.
Result<Fd> listen_unix(const std::string& path);

}  // namespace vmsec::rpc
