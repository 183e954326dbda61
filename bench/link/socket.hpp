// Sockets of the relay: addresses, listening, connecting. None of them blocks.
#pragma once

#include <netinet/in.h>

#include "shape.hpp"

namespace vmsec::link {

class Socket {
 public:
  explicit Socket(int fd = -1) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(other.release()) {}
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();
  [[nodiscard]] int get() const { return fd_; }
  int release();

 private:
  int fd_;
};

struct Address {
  sockaddr_in value{};
  [[nodiscard]] std::string text() const;
};

Parsed<Address> parse_address(std::string_view text);  // "10.0.0.1:7443"
// `buffer`: bytes that the system may hold for each connection, 0: as it likes.
Parsed<Socket> listen_on(const Address& address, int buffer);
Parsed<Address> address_of(const Socket& socket);
// Begins to connect; it is done when the socket becomes writable.
Parsed<Socket> begin_connect(const Address& address, int buffer);
bool is_connected(const Socket& socket);
// What became of it: an error number, or 0.
int connect_error(const Socket& socket);
void use_no_delay(const Socket& socket);

}  // namespace vmsec::link
