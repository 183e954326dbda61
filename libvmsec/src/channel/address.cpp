#include "channel/address.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>

#include "identity/impl.hpp"

namespace vmsec::channel {
namespace {

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Result<Addresses> resolve(std::string_view text, int flags) {
  VMSEC_TRY(const Address address, parse_address(text));
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error =
      ::getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(), address.port.c_str(), &hints, &list);
  if (error != 0)
    return fail(Error{Code::unavailable, "resolve " + printable(text) + ": " + ::gai_strerror(error), error, "gai"});
  return Addresses(list);
}

Result<Fd> open_socket(const addrinfo& address) {
  Fd fd(::socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol));
  if (!fd.valid()) return fail(errno_error("open socket", errno, Code::unavailable));
  return fd;
}

Result<Fd> connect_one(const addrinfo& address, Deadline deadline) {
  VMSEC_TRY(Fd fd, open_socket(address));
  if (::connect(fd.get(), address.ai_addr, address.ai_addrlen) == 0) return fd;
  if (errno != EINPROGRESS) return fail(errno_error("connect", errno, Code::unavailable));
  VMSEC_CHECK(wait_for(fd.get(), POLLOUT, &deadline));
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return fail(errno_error("connect", error, Code::unavailable));
  return fd;
}

Result<Fd> listen_one(const addrinfo& address) {
  VMSEC_TRY(Fd fd, open_socket(address));
  const int on = 1;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd.get(), address.ai_addr, address.ai_addrlen) != 0 || ::listen(fd.get(), SOMAXCONN) != 0)
    return fail(errno_error("listen", errno, Code::unavailable));
  return fd;
}

std::string text_of(const sockaddr_storage& address, socklen_t size) {
  char host[NI_MAXHOST] = {};
  char port[NI_MAXSERV] = {};
  if (address.ss_family != AF_INET && address.ss_family != AF_INET6) return "local socket";
  if (::getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return "unknown address";
  const std::string name(host);
  return (address.ss_family == AF_INET6 ? "[" + name + "]" : name) + ":" + port;
}

}  // namespace

Deadline deadline_in(Microseconds timeout) {
  constexpr std::uint64_t kYear = 365ull * 24 * 3600 * 1'000'000;
  return std::chrono::steady_clock::now() + std::chrono::microseconds(std::min(timeout.value, kYear));
}

Result<Address> parse_address(std::string_view text) {
  const auto bad = [&] {
    return fail(Code::invalid_argument, "address \"" + printable(text) + "\": want host:port or [v6]:port");
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.size() > 300) return bad();
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string_view::npos ||
      std::stoul(std::string(port)) > 65535)
    return bad();
  if (host.starts_with('[') && host.ends_with(']') && host.size() > 2)
    host = host.substr(1, host.size() - 2);
  else if (host.find_first_of(":[]") != std::string_view::npos)
    return bad();
  if (host.find('\0') != std::string_view::npos) return bad();
  return Address{std::string(host), std::string(port)};
}

Status wait_for(int fd, short events, const Deadline* deadline) {
  while (true) {
    int milliseconds = -1;
    if (deadline != nullptr) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) return fail(Code::timeout, "timed out");
      milliseconds = static_cast<int>(std::min<std::int64_t>(left.count(), 3'600'000));
    }
    pollfd entry{fd, events, 0};
    const int ready = ::poll(&entry, 1, milliseconds);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return fail(errno_error("poll"));
  }
}

Result<Fd> connect_to(std::string_view address, Deadline deadline) {
  VMSEC_TRY(const Addresses list, resolve(address, 0));
  Result<Fd> last = fail(Code::unavailable, "no address");
  for (const addrinfo* each = list.get(); each != nullptr; each = each->ai_next) {
    last = connect_one(*each, deadline);
    if (last) return last;
  }
  return fail(last.error().in("connect to " + printable(address)));
}

Result<Fd> listen_at(std::string_view address) {
  VMSEC_TRY(const Addresses list, resolve(address, AI_PASSIVE));
  Result<Fd> last = fail(Code::unavailable, "no address");
  for (const addrinfo* each = list.get(); each != nullptr && !last; each = each->ai_next) last = listen_one(*each);
  if (!last) return fail(last.error().in("listen at " + printable(address)));
  return last;
}

Status set_blocking(int fd, Blocking blocking) {
  const int flags = ::fcntl(fd, F_GETFL);
  const int wanted = blocking == Blocking::yes ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
  if (flags < 0 || ::fcntl(fd, F_SETFL, wanted) != 0) return fail(errno_error("set up socket"));
  return {};
}

std::string local_address(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "unknown address";
  return text_of(address, size);
}

std::string remote_address(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "unknown address";
  return text_of(address, size);
}

}  // namespace vmsec::channel
