// The frame parser over any bytes: what it takes is what was there.
#include <cstdlib>
#include <cstring>

#include "channel/frame.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vmsec;
  std::size_t at = 0;
  std::string again;
  while (true) {
    const std::size_t start = at;
    const auto frame = channel::read_frame([&](char* to, std::size_t count) -> Status {
      if (count > size - at) return fail(Code::unavailable, "cut");
      std::memcpy(to, data + at, count);
      at += count;
      return {};
    });
    if (!frame) return 0;
    if (frame->size() > channel::kMaxFrame || at - start != channel::kFrameHeader + frame->size()) std::abort();
    again = channel::frame_header(frame->size()) + *frame;
    if (std::memcmp(again.data(), data + start, again.size()) != 0) std::abort();
  }
}
