// What another host's engine sends: the first byte says on which channel.
#include <cstring>

#include "data_reader.hpp"
#include "stream.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vmsec;
  using namespace vmsec::sim;
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 'c') {
    static_cast<void>(common::decode_control(bytes));
    return 0;
  }
  static const auto memory = GuestMemory::create("fuzz", {1 << 20}, {1, {}});
  Arrived arrived;
  arrived.pages.resize((*memory)->pages());
  const auto receive = [&](void* out, std::size_t count) -> Status {
    if (count > bytes.size()) return fail(Code::io, "it ended");
    std::memcpy(out, bytes.data(), count);
    bytes.remove_prefix(count);
    return {};
  };
  static_cast<void>(read_data(receive, **memory, arrived));
  return 0;
}
