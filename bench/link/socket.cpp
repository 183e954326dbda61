#include "socket.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace vmsec::link {
namespace {

std::unexpected<std::string> failed(std::string_view operation, const Address& address) {
  return std::unexpected(std::string(operation) + " " + address.text() + ": " + std::strerror(errno));
}

const sockaddr* generic(const Address& address) { return reinterpret_cast<const sockaddr*>(&address.value); }

Socket new_socket(int buffer) {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (buffer == 0) return socket;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  return socket;
}

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

int Socket::release() { return std::exchange(fd_, -1); }

std::string Address::text() const {
  char host[INET_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET, &value.sin_addr, host, sizeof host);
  return std::string(host) + ":" + std::to_string(ntohs(value.sin_port));
}

Parsed<Address> parse_address(std::string_view text) {
  const auto wrong = std::unexpected("\"" + std::string(text) + "\": want ADDRESS:PORT, such as 127.0.0.1:7443");
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong;
  Address address;
  address.value.sin_family = AF_INET;
  const auto port = parse_number(text.substr(colon + 1));
  if (!port || *port > 65535) return wrong;
  address.value.sin_port = htons(static_cast<std::uint16_t>(*port));
  if (::inet_pton(AF_INET, std::string(text.substr(0, colon)).c_str(), &address.value.sin_addr) != 1) return wrong;
  return address;
}

Parsed<Socket> listen_on(const Address& address, int buffer) {
  Socket socket = new_socket(buffer);
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(socket.get(), generic(address), sizeof address.value) != 0 || ::listen(socket.get(), 64) != 0)
    return failed("listen on", address);
  return socket;
}

Parsed<Address> address_of(const Socket& socket) {
  Address address;
  socklen_t size = sizeof address.value;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address.value), &size) != 0)
    return failed("name of", address);
  return address;
}

Parsed<Socket> begin_connect(const Address& address, int buffer) {
  Socket socket = new_socket(buffer);
  if (::connect(socket.get(), generic(address), sizeof address.value) != 0 && errno != EINPROGRESS)
    return failed("connect to", address);
  use_no_delay(socket);
  return socket;
}

bool is_connected(const Socket& socket) {
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  return ::getpeername(socket.get(), reinterpret_cast<sockaddr*>(&peer), &size) == 0;
}

int connect_error(const Socket& socket) {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

void use_no_delay(const Socket& socket) {
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace vmsec::link
