// The frames inside TLS, of one direction: the header of a sealed record without its tag (record.hpp), in the
// payload's place before the payload. TLS says that they are the peer's, whole and in order; a frame says what
// they are.
#pragma once

#include "record.hpp"

namespace vmsec::migration {

// Not thread-safe.
class FrameCount {
 public:
  // binding: of the connection; the transcript begins with it.
  static Result<FrameCount> create(std::string_view binding);

  // Sender: writes the next frame's header.
  Status stamp(RecordType type, std::size_t length, HeaderBytes out);
  // Receiver: `tampered` unless it is the next frame.
  Status check(const RecordHeader& header);

  [[nodiscard]] std::uint64_t frames() const { return frames_; }
  [[nodiscard]] Result<std::string> digest() const { return transcript_.digest(); }

 private:
  explicit FrameCount(Transcript transcript) : transcript_(std::move(transcript)) {}
  Status add(std::span<const unsigned char> header);

  Transcript transcript_;
  std::uint64_t frames_ = 0;
};

}  // namespace vmsec::migration
