// Two ends of a connection, for tests: connected sockets, and a handshake in two threads.
#pragma once

#include <sys/socket.h>

#include <future>

#include "channel/tls.hpp"
#include "libvmsec/identity/craft.hpp"

namespace vmsec::test {

using channel::TlsConnection;
using channel::TlsContext;
using Connected = Result<std::unique_ptr<TlsConnection>>;

inline std::pair<Fd, Fd> socket_pair() {
  int fds[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  return {Fd(fds[0]), Fd(fds[1])};
}

struct Ends {
  Connected client = fail(Code::internal, "not connected");
  Connected server = fail(Code::internal, "not connected");
};

inline Ends connect_ends(const HostIdentity& client, const HostIdentity& server, const std::string& expected) {
  auto [a, b] = socket_pair();
  Ends ends;
  auto accepting = std::async(std::launch::async, [&, fd = std::move(b)]() mutable -> Connected {
    VMSEC_TRY(const TlsContext context, TlsContext::create(server));
    return TlsConnection::accept(context, std::move(fd));
  });
  ends.client = TlsConnection::connect(good(TlsContext::create(client)), std::move(a), expected);
  ends.server = accepting.get();
  return ends;
}

// web-1 connects to web-2.
struct Pair {
  Cloud cloud;
  HostIdentity one = cloud.host("web-1");
  HostIdentity two = cloud.host("web-2");
  std::unique_ptr<TlsConnection> client;
  std::unique_ptr<TlsConnection> server;
  Pair() {
    Ends ends = connect_ends(one, two, "web-2");
    client = good(std::move(ends.client));
    server = good(std::move(ends.server));
  }
};

}  // namespace vmsec::test
