// Any bytes as what another host's agent sends: the first byte says which message.
#include <cstdlib>

#include "host/peer_protocol.hpp"

using namespace vmsec;

namespace {

template <class Message>
void decode_twice(std::string_view bytes) {
  const auto first = wire::decode<Message>(bytes);
  if (!first) return;
  const std::string written = wire::encode(*first);
  const auto second = wire::decode<Message>(written);
  if (!second || wire::encode(*second) != written) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 3 == 0) decode_twice<host::Hello>(bytes);
  if (data[0] % 3 == 1) decode_twice<host::PeerRequest>(bytes);
  if (data[0] % 3 != 2) return 0;
  decode_twice<host::PeerAnswer>(bytes);
  const auto answer = host::decode_answer(bytes);
  if (!answer && answer.error().code == Code::ok) std::abort();  // no error passes for a success
  return 0;
}
