// Bytes over a Unix socket, with descriptors beside the first of them (unix(7),
// SCM_RIGHTS). Header-only: vmsec-worker, which links nothing of libvmsec, uses it too.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "vmsec/fd.hpp"

namespace vmsec::rpc {

inline constexpr std::size_t kMaximumDescriptors = 16;  // at once

struct DescriptorBuffer {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaximumDescriptors * sizeof(int))> bytes{};
};

// As sendmsg(2) with these flags, but it goes on after a signal. At most
// kMaximumDescriptors of them; they stay the caller's.
inline ssize_t send_with(int socket, std::string_view bytes, std::span<const Fd> fds, int flags) {
  iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  DescriptorBuffer control;
  if (!fds.empty()) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    for (std::size_t i = 0; i < fds.size(); ++i) {
      const int fd = fds[i].get();
      std::memcpy(CMSG_DATA(part) + i * sizeof(int), &fd, sizeof fd);
    }
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | flags);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

struct Received {
  ssize_t size = 0;  // as recvmsg(2) answers
  bool cut = false;  // more descriptors than there may be, or a packet that is too long
  std::vector<Fd> fds;
};

// From whom no descriptors are taken: the kernel closes those that come along, none is
// ever in this process's table, and `cut` says that there were some.
inline Received receive_without(int socket, std::span<char> to, int flags) {
  iovec piece{to.data(), to.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  Received received;
  do {
    received.size = ::recvmsg(socket, &message, flags);
  } while (received.size < 0 && errno == EINTR);
  received.cut = received.size >= 0 && (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
  return received;
}

inline Received receive_with(int socket, std::span<char> to, int flags) {
  iovec piece{to.data(), to.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  DescriptorBuffer control;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  Received received;
  do {
    received.size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | flags);
  } while (received.size < 0 && errno == EINTR);
  if (received.size < 0) return received;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      received.fds.emplace_back(fd);
    }
  }
  received.cut = (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
  return received;
}

}  // namespace vmsec::rpc
