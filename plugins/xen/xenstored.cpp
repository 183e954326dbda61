#include "xenstored.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <thread>

#include "vmsec/fd.hpp"

namespace vmsec::xen {
namespace {

// struct xsd_sockmsg of Xen's public io/xs_wire.h.
struct Message {
  std::uint32_t type;
  std::uint32_t request;
  std::uint32_t transaction;
  std::uint32_t length;
};
constexpr std::uint32_t kRead = 2;  // XS_READ

using Clock = std::chrono::steady_clock;

// xenstored takes few callers at once, and lets the others wait.
Result<Fd> dial(const std::string& path, Clock::time_point until) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(Code::invalid_argument, path + " is too long for a socket");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail(errno_error("make a socket"));
  while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EAGAIN) return fail(errno_error("reach xenstored at " + path, errno, Code::unavailable));
    if (Clock::now() > until) return fail(Code::timeout, "xenstored takes nobody: others wait for it as well");
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return fd;
}

}  // namespace

Status probe_xenstored(const std::string& socket, std::chrono::milliseconds limit) {
  VMSEC_TRY(const Fd fd, dial(socket, Clock::now() + limit));
  static constexpr char kPath[] = "/tool";
  std::array<char, sizeof(Message) + sizeof kPath> request{};
  const Message header{kRead, 0, 0, sizeof kPath};
  std::memcpy(request.data(), &header, sizeof header);
  std::memcpy(request.data() + sizeof header, kPath, sizeof kPath);
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return fail(errno_error("ask xenstored", errno, Code::unavailable));
  // Any answer, an error as well, says that it lives.
  pollfd answer{fd.get(), POLLIN, 0};
  const int ready = ::poll(&answer, 1, static_cast<int>(limit.count()));
  char byte = 0;
  if (ready == 1 && ::recv(fd.get(), &byte, 1, MSG_DONTWAIT) == 1) return {};
  if (ready == 0) return fail(Code::timeout, "xenstored has not answered in " + std::to_string(limit.count()) + " ms");
  return fail(Code::unavailable, "xenstored at " + socket + " has hung up");
}

}  // namespace vmsec::xen
