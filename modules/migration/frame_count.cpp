#include "frame_count.hpp"

#include <array>

namespace vmsec::migration {

Result<FrameCount> FrameCount::create(std::string_view binding) {
  VMSEC_TRY(Transcript transcript, Transcript::create());
  VMSEC_CHECK(transcript.add({bytes_of(binding), binding.size()}));
  return FrameCount(std::move(transcript));
}

Status FrameCount::add(std::span<const unsigned char> header) {
  VMSEC_CHECK(transcript_.add(header));
  ++frames_;
  return {};
}

Status FrameCount::stamp(RecordType type, std::size_t length, HeaderBytes out) {
  if (length > kMaximumPayload)
    return fail(Code::internal, "send a frame of " + std::to_string(length) + " bytes: out of bounds");
  write_header({static_cast<std::uint32_t>(length), type, frames_}, out);
  return add(out);
}

Status FrameCount::check(const RecordHeader& header) {
  if (header.sequence != frames_)
    return fail(Code::tampered, "take a frame: it has sequence " + std::to_string(header.sequence) + ", wanted " +
                                    std::to_string(frames_));
  std::array<unsigned char, kHeaderSize> bytes{};
  write_header(header, bytes);
  return add(bytes);
}

}  // namespace vmsec::migration
