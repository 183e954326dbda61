#include <cstdlib>
#include <string>

#include "guest_link.hpp"
#include "vmsec/guest_frame.hpp"

using namespace vmsec;
using namespace vmsec::boot;

// What a guest says on its port, taken as answers of question 1: frames in pieces, then the messages in them.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  GuestFrameReader reader(1);
  GuestFrameReader any;
  const std::size_t piece = size == 0 ? 1 : data[0] % 97 + 1;
  for (std::size_t at = 0; at < size; at += piece) {
    reader.add(bytes.substr(at, piece));
    any.add(bytes.substr(at, piece));
    while (const auto frame = any.next()) {
      if (!*frame) break;
      if ((*frame)->payload.size() > kMaxGuestFrame) std::abort();
    }
    const auto frame = reader.next();
    if (!frame || !*frame) continue;
    if ((*frame)->number != 1) std::abort();
    const auto answer = read_guest_answer((*frame)->payload);
    if (!answer) continue;
    static_cast<void>(wire::decode<GuestKeys>(*answer));
    static_cast<void>(wire::decode<GuestEvidence>(*answer));
    static_cast<void>(wire::decode<GuestProof>(*answer));
  }
  return 0;
}
