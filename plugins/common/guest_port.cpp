#include "guest_port.hpp"

#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <chrono>

#include "vmsec/guest_frame.hpp"

namespace vmsec::common {
namespace {

using Clock = std::chrono::steady_clock;

Status check(const GuestRequest& request) {
  if (request.request.size() > kMaxGuestFrame)
    return fail(Code::limit_exceeded, "ask a guest: a request of " + std::to_string(request.request.size()) +
                                          " bytes, at most " + std::to_string(kMaxGuestFrame) + " are sent");
  if (request.timeout_ms == 0 || request.timeout_ms > kMaxGuestTimeout)
    return fail(Code::invalid_argument, "ask a guest: a time of " + std::to_string(request.timeout_ms) +
                                            " ms, want 1 to " + std::to_string(kMaxGuestTimeout));
  return {};
}

// Until the socket can be written or read; `timeout` names what did not come.
Status wait(const Fd& socket, short events, Clock::time_point end, std::string_view what) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) return fail(Code::timeout, "the guest " + std::string(what) + " in time");
    pollfd poll{socket.get(), events, 0};
    const int ready = ::poll(&poll, 1, static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return fail(errno_error("wait for the guest's port"));
    if (ready > 0) return {};
  }
}

Status send_all(const Fd& socket, std::string_view bytes, Clock::time_point end) {
  while (!bytes.empty()) {
    VMSEC_CHECK(wait(socket, POLLOUT, end, "takes no request"));
    const ssize_t count = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) return fail(errno_error("write to the guest's port", errno, Code::unavailable));
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Result<GuestReply> receive(const Fd& socket, std::uint64_t number, Clock::time_point end) {
  GuestFrameReader reader(number);
  std::array<char, 65536> buffer;
  while (true) {
    VMSEC_TRY(auto frame, reader.next());
    if (frame) return GuestReply{std::move(frame->payload)};
    VMSEC_CHECK(wait(socket, POLLIN, end, "did not answer"));
    const ssize_t count = ::recv(socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) return fail(errno_error("read from the guest's port", errno, Code::unavailable));
    if (count == 0) return fail(Code::unavailable, "the guest's port was closed");
    reader.add({buffer.data(), static_cast<std::size_t>(count)});
  }
}

}  // namespace

Result<Fd> connect_guest_port(const std::string& path) {
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return fail(errno_error("make a socket"));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(Code::unsupported, "the guest's port " + path + ": its path is too long for a socket");
  path.copy(address.sun_path, path.size());
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail(errno_error("connect to the guest's port " + path, errno, Code::unavailable));
  return socket;
}

Result<GuestReply> exchange(const Fd& socket, const GuestRequest& request) {
  VMSEC_CHECK(check(request));
  std::uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != sizeof number) return fail(errno_error("draw a number"));
  const auto end = Clock::now() + std::chrono::milliseconds(request.timeout_ms);
  VMSEC_CHECK(send_all(socket, guest_frame::encode({number, request.request}), end));
  return receive(socket, number, end);
}

}  // namespace vmsec::common
