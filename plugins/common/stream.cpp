#include "stream.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>

namespace vmsec::common {

Result<std::unique_ptr<Stream>> Stream::open(ChannelKind kind, std::uint32_t index, std::optional<std::uint64_t> cut,
                                             Fd& near_end) {
  std::array<int, 2> pair{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0)
    return fail(errno_error("make a migration channel"));
  Fd ours(pair[0]);
  near_end.reset(pair[1]);
  std::string name = kind == ChannelKind::control  ? "control"
                     : kind == ChannelKind::main   ? "main"
                     : kind == ChannelKind::urgent ? "urgent"
                                                   : "bulk " + std::to_string(index);
  return std::unique_ptr<Stream>(new Stream(std::move(ours), std::move(name) + " channel", cut));
}

// How many of these bytes may pass before the fault that was asked for.
std::size_t Stream::allowed(std::size_t size) {
  std::uint64_t left = left_.load();
  if (left == UINT64_MAX) return size;
  const std::size_t most = std::min<std::uint64_t>(left, size);
  left_.store(left - most);
  return most;
}

Status Stream::send(const void* bytes, std::size_t size) {
  const auto* next = static_cast<const char*>(bytes);
  const std::size_t most = allowed(size);
  std::size_t sent = 0;
  while (sent < most) {
    const auto count = ::send(fd_.get(), next + sent, most - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno_error("send on the " + name_));
    sent += static_cast<std::size_t>(count);
  }
  if (most == size) return {};
  break_off();
  return fail(Code::io, "send on the " + name_ + ": cut, as a test asked");
}

Status Stream::receive(void* bytes, std::size_t size) {
  auto* next = static_cast<char*>(bytes);
  const std::size_t most = allowed(size);
  std::size_t got = 0;
  while (got < most) {
    const auto count = ::recv(fd_.get(), next + got, most - got, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno_error("receive on the " + name_));
    if (count == 0) return fail(Code::io, "receive on the " + name_ + ": it ended");
    got += static_cast<std::size_t>(count);
  }
  if (most == size) return {};
  break_off();
  return fail(Code::io, "receive on the " + name_ + ": cut, as a test asked");
}

Status Stream::send(const Control& message) {
  const std::string bytes = wire::encode(message);
  const auto size = static_cast<std::uint32_t>(bytes.size());
  std::string frame(reinterpret_cast<const char*>(&size), sizeof size);
  frame += bytes;
  return send(frame.data(), frame.size());
}

Result<Control> Stream::receive_control() {
  std::uint32_t size = 0;
  VMSEC_CHECK(receive(&size, sizeof size));
  if (size > kControlMaximum)
    return fail(Code::invalid_argument, "receive on the " + name_ + ": a message of " + std::to_string(size) +
                                            " bytes, of at most " + std::to_string(kControlMaximum));
  std::string bytes(size, '\0');
  VMSEC_CHECK(receive(bytes.data(), bytes.size()));
  return decode_control(bytes);
}

void Stream::end_sending() { ::shutdown(fd_.get(), SHUT_WR); }

void Stream::break_off() { ::shutdown(fd_.get(), SHUT_RDWR); }

Result<Control> decode_control(std::string_view bytes) {
  VMSEC_TRY(auto message, wire::decode<Control>(bytes));
  const auto kind = static_cast<std::uint32_t>(message.kind);
  if (kind == 0 || kind > static_cast<std::uint32_t>(ControlKind::sent))
    return fail(Code::invalid_argument, "control message of unknown kind " + std::to_string(kind));
  // It goes into messages and events of this host: printable, and short.
  std::erase_if(message.reason, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (message.reason.size() > 512) message.reason.resize(512);
  if (message.bulk > kBulkMaximum)
    return fail(Code::invalid_argument, "begin with " + std::to_string(message.bulk) + " bulk channels, of at most " +
                                            std::to_string(kBulkMaximum));
  return message;
}

}  // namespace vmsec::common
