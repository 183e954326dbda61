// Messages of the other host: whatever decodes must encode to something that
// decodes to the same.
#include <cstdlib>
#include <string>

#include "protocol.hpp"

using namespace vmsec;
using namespace vmsec::migration;

namespace {

template <class Message>
void round_trip(std::string_view bytes) {
  const auto message = wire::decode<Message>(bytes);
  if (!message) return;
  const std::string encoded = wire::encode(*message);
  const auto again = wire::decode<Message>(encoded);
  if (!again || wire::encode(*again) != encoded) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 9) {
    case 0:
      round_trip<PrepareRequest>(bytes);
      break;
    case 1:
      round_trip<PrepareReply>(bytes);
      break;
    case 2:
      round_trip<JoinRequest>(bytes);
      break;
    case 3:
      round_trip<JoinReply>(bytes);
      break;
    case 4:
      round_trip<SwitchRequest>(bytes);
      break;
    case 5:
      round_trip<DecisionRequest>(bytes);
      break;
    case 6:
      round_trip<DecisionReply>(bytes);
      break;
    case 7:
      round_trip<ResolveRequest>(bytes);
      break;
    default:
      round_trip<OwnershipRecord>(bytes);
  }
  return 0;
}
