#include "rpc/unix_frame.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>

namespace vmsec::rpc {
namespace {

struct ControlBuffer {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaximumDescriptors * sizeof(int))> bytes{};
};

Status send_all(int socket, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(socket, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return fail(errno_error("send a frame", errno, Code::unavailable));
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return {};
}

Status receive_all(int socket, char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t got = ::recv(socket, data, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno_error("receive a frame", errno, Code::unavailable));
    if (got == 0) return fail(Code::io, "receive a frame: the connection ended within it");
    data += got;
    size -= static_cast<std::size_t>(got);
  }
  return {};
}

void take_descriptors(msghdr& message, std::vector<Fd>& fds) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      fds.emplace_back(fd);
    }
  }
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

}  // namespace

Status send_frame(int socket, const Packet& packet) {
  if (packet.bytes.size() > kMaximumFrame || packet.fds.size() > kMaximumDescriptors)
    return fail(Code::limit_exceeded, "send a frame: " + std::to_string(packet.bytes.size()) + " bytes and " +
                                          std::to_string(packet.fds.size()) + " descriptors exceed 16 MiB and 16");
  const auto size = static_cast<std::uint32_t>(packet.bytes.size());
  std::array<char, 4> head{static_cast<char>(size >> 24), static_cast<char>(size >> 16), static_cast<char>(size >> 8),
                           static_cast<char>(size)};
  iovec piece{head.data(), head.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  ControlBuffer control;
  if (!packet.fds.empty()) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_SPACE(packet.fds.size() * sizeof(int));
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(packet.fds.size() * sizeof(int));
    for (std::size_t i = 0; i < packet.fds.size(); ++i) {
      const int fd = packet.fds[i].get();
      std::memcpy(CMSG_DATA(part) + i * sizeof(int), &fd, sizeof fd);
    }
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return fail(errno_error("send a frame", errno, Code::unavailable));
  VMSEC_CHECK(send_all(socket, head.data() + sent, head.size() - static_cast<std::size_t>(sent)));
  return send_all(socket, packet.bytes.data(), packet.bytes.size());
}

Result<Packet> receive_frame(int socket) {
  Packet packet;
  std::array<char, 4> head{};
  iovec piece{head.data(), head.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  ControlBuffer control;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  ssize_t got = 0;
  do {
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return fail(errno_error("receive a frame", errno, Code::unavailable));
  if (got == 0) return fail(Code::unavailable, "the other end closed the connection");
  take_descriptors(message, packet.fds);
  if ((message.msg_flags & MSG_CTRUNC) != 0)
    return fail(Code::limit_exceeded, "receive a frame: more than 16 descriptors");
  VMSEC_CHECK(receive_all(socket, head.data() + got, head.size() - static_cast<std::size_t>(got)));
  std::uint32_t size = 0;
  for (const char byte : head) size = size << 8 | static_cast<unsigned char>(byte);
  if (size > kMaximumFrame)
    return fail(Code::limit_exceeded, "receive a frame: " + std::to_string(size) + " bytes exceed 16 MiB");
  packet.bytes.resize(size);
  VMSEC_CHECK(receive_all(socket, packet.bytes.data(), size));
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
  if (connect_unix(path)) return fail(Code::already_exists, "listen on " + path + ": somebody listens there already");
  ::unlink(path.c_str());
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return fail(errno_error("listen on " + path));
  const mode_t before = ::umask(0177);
  const int bound = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::umask(before);
  if (bound != 0 || ::listen(socket.get(), 64) != 0) return fail(errno_error("listen on " + path));
  return socket;
}

}  // namespace vmsec::rpc
