// What a worker may send on a line, and on the control socket.
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <tuple>

#include "worker/line.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vmsec;
  using namespace vmsec::worker;
  const std::string_view bytes(reinterpret_cast<const char*>(data), std::min<std::size_t>(size, 60'000));
  std::ignore = decode_frame(bytes, {});
  auto pair = line_pair();
  if (!pair) return 0;
  if (::send(pair->far.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return 0;
  pair->far.reset();
  Line line(std::move(pair->near), Other::worker);
  while (line.receive()) continue;
  auto control = control_pair();
  if (!control || bytes.empty()) return 0;
  if (::send(control->far.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return 0;
  std::ignore = receive_control(control->near, Descriptors::none);
  return 0;
}
