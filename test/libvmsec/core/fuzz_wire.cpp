// Any bytes as any message: an error, or a message that encodes and decodes to itself.
#include <cstdlib>

#include "libvmsec/core/all_messages.hpp"

using namespace vmsec;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t wanted = data[0] % test::AllMessages::kSize;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::size_t index = 0;
  test::AllMessages::for_each([&]<class T>() {
    if (index++ != wanted) return;
    const auto message = wire::decode<T>(input);
    if (!message) return;
    const std::string once = wire::encode(*message);
    const auto again = wire::decode<T>(once);
    if (!again || wire::encode(*again) != once) std::abort();
  });
  return 0;
}
