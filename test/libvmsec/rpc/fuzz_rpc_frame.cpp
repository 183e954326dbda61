// Any bytes from a Unix socket: an error, or a frame that is what was sent, and a
// request or reply that reads the same twice.
#include <sys/socket.h>

#include <cstdlib>

#include "rpc/messages.hpp"
#include "rpc/unix_frame.hpp"

using namespace vmsec;

namespace {

template <class Message>
void decode_twice(const std::string& bytes) {
  const auto first = wire::decode<Message>(bytes);
  if (!first) {
    if (first.error().message.empty()) std::abort();
    return;
  }
  const std::string written = wire::encode(*first);
  const auto second = wire::decode<Message>(written);
  if (!second || wire::encode(*second) != written) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  int fds[2];
  // What fits into the socket's buffer at once needs no second thread.
  if (size > 65'536 || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return 0;
  Fd from(fds[0]);
  const Fd to(fds[1]);
  if (::send(from.get(), data, size, MSG_NOSIGNAL) != static_cast<ssize_t>(size)) return 0;
  from.reset();
  std::size_t at = 0;
  while (const auto frame = rpc::receive_frame(to.get())) {
    at += 4;
    if (at + frame->bytes.size() > size ||
        frame->bytes.compare(0, std::string::npos, reinterpret_cast<const char*>(data) + at, frame->bytes.size()) != 0)
      std::abort();
    at += frame->bytes.size();
    decode_twice<rpc::Request>(frame->bytes);
    decode_twice<rpc::Reply>(frame->bytes);
  }
  return 0;
}
