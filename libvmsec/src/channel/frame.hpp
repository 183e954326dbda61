// Frames: 4 bytes of length, big endian, then that many bytes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "channel/tls.hpp"
#include "vmsec/result.hpp"

namespace vmsec::channel {

inline constexpr std::size_t kFrameHeader = 4;

inline Status check_frame_size(std::size_t size, std::size_t limit = kMaxFrame) {
  if (size <= limit) return {};
  return fail(Code::limit_exceeded,
              "frame of " + std::to_string(size) + " bytes: at most " + std::to_string(limit) + " are allowed");
}

inline std::string frame_header(std::size_t size) {
  std::string header;
  for (const int shift : {24, 16, 8, 0}) header += static_cast<char>(size >> shift);
  return header;
}

inline std::uint32_t frame_size(const char (&header)[kFrameHeader]) {
  std::uint32_t size = 0;
  for (const char byte : header) size = (size << 8) | static_cast<std::uint8_t>(byte);
  return size;
}

// Reads one frame by `read(char* to, size_t count)`, which fills all of it or
// fails. Nothing is allocated before the announced length was checked, and then
// no more than comes: an announcement alone takes no memory.
template <class Read>
Result<std::string> read_frame(Read&& read, std::size_t limit = kMaxFrame) {
  constexpr std::size_t kPart = std::size_t{64} << 10;
  char header[kFrameHeader];
  VMSEC_CHECK(read(header, kFrameHeader));
  const std::uint32_t size = frame_size(header);
  VMSEC_CHECK(check_frame_size(size, limit));
  std::string frame;
  while (frame.size() < size) {
    const std::size_t have = frame.size();
    frame.resize(std::min<std::size_t>(size, have + kPart));
    VMSEC_CHECK(read(frame.data() + have, frame.size() - have));
  }
  return frame;
}

}  // namespace vmsec::channel
