// Frames: 4 bytes of length, big endian, then that many bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "channel/tls.hpp"
#include "vmsec/result.hpp"

namespace vmsec::channel {

inline constexpr std::size_t kFrameHeader = 4;

inline Status check_frame_size(std::size_t size) {
  if (size <= kMaxFrame) return {};
  return fail(Code::limit_exceeded,
              "frame of " + std::to_string(size) + " bytes: at most " + std::to_string(kMaxFrame) + " are allowed");
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
// fails. Nothing is allocated before the announced length was checked.
template <class Read>
Result<std::string> read_frame(Read&& read) {
  char header[kFrameHeader];
  VMSEC_CHECK(read(header, kFrameHeader));
  const std::uint32_t size = frame_size(header);
  VMSEC_CHECK(check_frame_size(size));
  std::string frame(size, '\0');
  if (size > 0) VMSEC_CHECK(read(frame.data(), size));
  return frame;
}

}  // namespace vmsec::channel
