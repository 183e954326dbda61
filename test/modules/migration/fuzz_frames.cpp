// What comes out of a hostile peer's TLS: the frames that are taken from any bytes, however they are cut, are those
// bytes.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "frame_count.hpp"
#include "record_buffer.hpp"

using namespace vmsec;
using namespace vmsec::migration;

namespace {

std::string bytes_between(std::span<const unsigned char> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// What was taken must be what was given, and written by us it must be the same.
void check(const RecordBuffer::Whole& frame, std::span<const unsigned char> given, FrameCount& again) {
  std::array<unsigned char, kHeaderSize> header{};
  if (!again.stamp(frame.header.type, frame.header.length, header)) std::abort();
  if (frame.bytes.size() != kHeaderSize + frame.header.length || frame.bytes.size() > given.size()) std::abort();
  if (bytes_between(frame.bytes) != bytes_between(given.first(frame.bytes.size()))) std::abort();
  if (bytes_between(header) != bytes_between(frame.bytes.first<kHeaderSize>())) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = data[0] == 0 ? size : data[0];
  std::span<const unsigned char> left(data + 1, size - 1);
  std::span<const unsigned char> taken = left;
  RecordBuffer buffer(0);
  auto taken_count = FrameCount::create("binding"), again = FrameCount::create("binding");
  if (!taken_count || !again) std::abort();
  const auto read = [&](std::span<unsigned char> room) -> Result<std::size_t> {
    const std::size_t count = std::min({room.size(), piece, left.size()});
    if (count == 0) return fail(Code::unavailable, "no more");
    std::copy_n(left.begin(), count, room.begin());
    left = left.subspan(count);
    return count;
  };
  while (true) {
    const auto frame = buffer.next(read);
    if (!frame || !taken_count->check(frame->header)) break;
    check(*frame, taken, *again);
    taken = taken.subspan(frame->bytes.size());
  }
  if (taken_count->digest().value() != again->digest().value() && taken_count->frames() == again->frames())
    std::abort();
  return 0;
}
