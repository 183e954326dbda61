#include "rpc/unix_frame.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <chrono>

namespace vmsec::rpc {
namespace {

using Deadline = std::chrono::steady_clock::time_point;

Deadline deadline_in(Microseconds time) {
  return std::chrono::steady_clock::now() + std::chrono::microseconds(time.value);
}

Error told(const char* operation) { return errno_error(operation, errno, Code::unavailable); }

Status wait_to(const char* operation, int socket, short events, const Deadline& deadline) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return fail(Code::timeout, std::string(operation) + ": the other end stopped half-way");
    pollfd entry{socket, events, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(left.count()));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return fail(told(operation));
  }
}

Status send_all(int socket, const char* data, std::size_t size, const Deadline& deadline) {
  while (size > 0) {
    VMSEC_CHECK(wait_to("send a frame", socket, POLLOUT, deadline));
    const ssize_t sent = ::send(socket, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (sent < 0) return fail(told("send a frame"));
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return {};
}

Status receive_all(int socket, char* data, std::size_t size, const Deadline& deadline) {
  while (size > 0) {
    VMSEC_CHECK(wait_to("receive a frame", socket, POLLIN, deadline));
    const ssize_t got = ::recv(socket, data, size, MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return fail(told("receive a frame"));
    if (got == 0) return fail(Code::io, "receive a frame: the connection ended within it");
    data += got;
    size -= static_cast<std::size_t>(got);
  }
  return {};
}

// The descriptors go with the first byte. Answers how much of the head went.
Result<std::size_t> send_head(int socket, std::array<char, 4>& head, const std::vector<Fd>& fds,
                              const Deadline& deadline) {
  while (true) {
    VMSEC_CHECK(wait_to("send a frame", socket, POLLOUT, deadline));
    const ssize_t sent = send_with(socket, {head.data(), head.size()}, fds, MSG_DONTWAIT);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno != EAGAIN) return fail(told("send a frame"));
  }
}

// Waits for the first byte, without a limit. Answers how much of the head came.
Result<std::size_t> receive_head(int socket, std::array<char, 4>& head, std::vector<Fd>& fds) {
  Received received = receive_with(socket, head, 0);
  if (received.size < 0) return fail(told("receive a frame"));
  if (received.size == 0) return fail(Code::unavailable, "the other end closed the connection");
  if (received.cut) return fail(Code::limit_exceeded, "receive a frame: more than 16 descriptors");
  fds = std::move(received.fds);
  return static_cast<std::size_t>(received.size);
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path || path.find('\0') != std::string::npos)
    return fail(Code::invalid_argument,
                "socket path \"" + path + "\": want 1 to " + std::to_string(sizeof address.sun_path - 1) + " bytes");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

// Removes a socket that nobody listens on, and nothing else.
Status make_room(const std::string& path) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) return errno == ENOENT ? Status() : fail(errno_error("listen on " + path));
  if (!S_ISSOCK(found.st_mode))
    return fail(Code::already_exists, "listen on " + path + ": a file that is no socket is there");
  if (connect_unix(path)) return fail(Code::already_exists, "listen on " + path + ": somebody listens there already");
  if (::unlink(path.c_str()) != 0) return fail(errno_error("listen on " + path));
  return {};
}

}  // namespace

Status send_frame(int socket, const Packet& packet, Microseconds time) {
  if (packet.bytes.size() > kMaximumFrame || packet.fds.size() > kMaximumDescriptors)
    return fail(Code::limit_exceeded, "send a frame: " + std::to_string(packet.bytes.size()) + " bytes and " +
                                          std::to_string(packet.fds.size()) + " descriptors exceed 16 MiB and 16");
  const Deadline deadline = deadline_in(time);
  const auto size = static_cast<std::uint32_t>(packet.bytes.size());
  std::array<char, 4> head{static_cast<char>(size >> 24), static_cast<char>(size >> 16), static_cast<char>(size >> 8),
                           static_cast<char>(size)};
  VMSEC_TRY(const std::size_t sent, send_head(socket, head, packet.fds, deadline));
  VMSEC_CHECK(send_all(socket, head.data() + sent, head.size() - sent, deadline));
  return send_all(socket, packet.bytes.data(), packet.bytes.size(), deadline);
}

Result<Packet> receive_frame(int socket, Microseconds time) {
  Packet packet;
  std::array<char, 4> head{};
  VMSEC_TRY(const std::size_t got, receive_head(socket, head, packet.fds));
  const Deadline deadline = deadline_in(time);
  VMSEC_CHECK(receive_all(socket, head.data() + got, head.size() - got, deadline));
  std::uint32_t size = 0;
  for (const char byte : head) size = size << 8 | static_cast<unsigned char>(byte);
  if (size > kMaximumFrame)
    return fail(Code::limit_exceeded, "receive a frame: " + std::to_string(size) + " bytes exceed 16 MiB");
  packet.bytes.resize(size);
  VMSEC_CHECK(receive_all(socket, packet.bytes.data(), size, deadline));
  return packet;
}

Result<Fd> connect_unix(const std::string& path) {
  VMSEC_TRY(const sockaddr_un address, address_of(path));
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return fail(errno_error("connect to " + path));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail(errno_error("connect to " + path, errno, Code::unavailable));
  return socket;
}

Result<Fd> listen_unix(const std::string& path) {
  VMSEC_TRY(const sockaddr_un address, address_of(path));
  VMSEC_CHECK(make_room(path));
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // The file takes its mode from the socket when it is bound: there is no moment in which others may connect.
  if (!socket.valid() || ::fchmod(socket.get(), 0600) != 0) return fail(errno_error("listen on " + path));
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), 64) != 0)
    return fail(errno_error("listen on " + path));
  return socket;
}

}  // namespace vmsec::rpc
