// What is said on a guest's serial port: one request of the host's, one answer of the agent in the guest.
//
// A frame is the four bytes "VMG1", eight bytes of a number that the host has drawn, four bytes of length (both
// big-endian) and as many bytes. An answer has its request's number. The port may still hold the rest of another
// exchange, which nobody waits for any more: who reads looks for the start of a frame, and drops what is before it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "vmsec/result.hpp"

namespace vmsec {

inline constexpr std::string_view kGuestPort = "org.vmsec.attestation.0";
inline constexpr std::size_t kMaxGuestFrame = std::size_t{1} << 20;

struct GuestFrame {
  std::uint64_t number = 0;
  std::string payload;
};

namespace guest_frame {

inline constexpr std::string_view kMagic = "VMG1";
inline constexpr std::size_t kHeader = 16;

template <class T>
std::string big_endian(T value) {
  std::string out(sizeof(T), '\0');
  for (std::size_t i = 0; i < sizeof(T); ++i) out[i] = static_cast<char>(value >> (8 * (sizeof(T) - 1 - i)));
  return out;
}

template <class T>
T from_big_endian(std::string_view bytes) {
  T value = 0;
  for (const char byte : bytes.substr(0, sizeof(T)))
    value = static_cast<T>(value << 8 | static_cast<std::uint8_t>(byte));
  return value;
}

inline std::string encode(const GuestFrame& frame) {
  return std::string(kMagic) + big_endian(frame.number) + big_endian(static_cast<std::uint32_t>(frame.payload.size())) +
         frame.payload;
}

}  // namespace guest_frame

// Takes bytes as they come, and gives frames.
class GuestFrameReader {
 public:
  GuestFrameReader() = default;
  // Only the frame of that number: all else is dropped.
  explicit GuestFrameReader(std::uint64_t number)
      : start_(std::string(guest_frame::kMagic) + guest_frame::big_endian(number)) {}

  void add(std::string_view bytes) { bytes_ += bytes; }

  // Nothing: more bytes are wanted. `limit_exceeded`: a frame that says to be too long, or no end of other bytes.
  Result<std::optional<GuestFrame>> next() {
    VMSEC_CHECK(drop_others());
    if (!bytes_.starts_with(start_) || bytes_.size() < guest_frame::kHeader) return std::nullopt;
    const std::string_view header = std::string_view(bytes_).substr(guest_frame::kMagic.size());
    const auto size = guest_frame::from_big_endian<std::uint32_t>(header.substr(sizeof(std::uint64_t)));
    if (size > kMaxGuestFrame) {
      bytes_.erase(0, start_.size());
      return fail(Code::limit_exceeded, "guest's port: a frame of " + std::to_string(size) + " bytes, at most " +
                                            std::to_string(kMaxGuestFrame) + " are taken");
    }
    if (bytes_.size() - guest_frame::kHeader < size) return std::nullopt;
    GuestFrame frame{guest_frame::from_big_endian<std::uint64_t>(header), bytes_.substr(guest_frame::kHeader, size)};
    bytes_.erase(0, guest_frame::kHeader + size);
    dropped_ = 0;
    return frame;
  }

 private:
  Status drop_others() {
    const std::size_t found = bytes_.find(start_);
    // The start of a frame may have come in part.
    const std::size_t kept = std::min(bytes_.size(), start_.size() - 1);
    const std::size_t count = found == std::string::npos ? bytes_.size() - kept : found;
    bytes_.erase(0, count);
    dropped_ += count;
    if (dropped_ <= 2 * kMaxGuestFrame) return {};
    dropped_ = 0;
    return fail(Code::limit_exceeded, "guest's port: more than " + std::to_string(2 * kMaxGuestFrame) +
                                          " bytes that are no frame of this exchange");
  }

  std::string start_{guest_frame::kMagic};
  std::string bytes_;
  std::size_t dropped_ = 0;
};

}  // namespace vmsec
