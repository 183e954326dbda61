#include <openssl/err.h>
#include <openssl/ssl.h>

#include <thread>

#include "channel/frame.hpp"
#include "libvmsec/channel/pair.hpp"

namespace vmsec::test {
namespace {

using namespace channel;

// A TLS peer with rules of its own, to see that ours hold without its help.
struct Stranger {
  int version = TLS1_3_VERSION;
  std::string alpn = "vmsec/1";
  bool certificate = true;
  std::string after;  // records' content to send after the handshake
  bool goodbye = true;
  const char* ciphers = "TLS_AES_128_GCM_SHA256";
  const char* groups = "X25519";

  // What it got to hear from the other side, until that ended.
  std::string talk(const HostFiles& files, Fd fd, bool client) const {
    SSL_CTX* context = SSL_CTX_new(TLS_method());
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_set_ciphersuites(context, ciphers);
    SSL_CTX_set1_groups_list(context, groups);
    if (certificate) {
      SSL_CTX_use_certificate_file(context, files.certificate.c_str(), SSL_FILETYPE_PEM);
      SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM);
    }
    const std::string protocols = static_cast<char>(alpn.size()) + alpn;
    if (!alpn.empty())
      SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(protocols.data()),
                              static_cast<unsigned>(protocols.size()));
    SSL* ssl = SSL_new(context);
    SSL_set_fd(ssl, fd.get());
    client ? SSL_set_connect_state(ssl) : SSL_set_accept_state(ssl);
    std::string heard;
    if (SSL_do_handshake(ssl) == 1) {
      if (!after.empty()) SSL_write(ssl, after.data(), static_cast<int>(after.size()));
      if (goodbye) SSL_shutdown(ssl);
      if (!goodbye) ::shutdown(fd.get(), SHUT_WR);
      char bytes[256];
      for (int count; (count = SSL_read(ssl, bytes, sizeof bytes)) > 0;)
        heard.append(bytes, static_cast<size_t>(count));
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    ERR_clear_error();
    return heard;
  }
};

// Our server, and the stranger that connects to it.
Connected meet(const HostIdentity& server, const HostFiles& theirs, const Stranger& stranger) {
  auto [a, b] = socket_pair();
  auto talking = std::async(std::launch::async, [theirs, stranger, fd = std::move(a)]() mutable {
    return stranger.talk(theirs, std::move(fd), true);
  });
  auto accepted = TlsConnection::accept(good(TlsContext::create(server)), std::move(b), Microseconds{20'000'000});
  if (!accepted) talking.wait();
  // The stranger ends when our side does; the caller may still hold it.
  static std::vector<std::future<std::string>> parked;
  parked.push_back(std::move(talking));
  return accepted;
}

}  // namespace

TEST_CASE("a host of another authority is refused by either side, with the reason at both") {
  Cloud cloud;
  Cloud other;
  Ends ends = connect_ends(other.host("web-1"), cloud.host("web-2"), "web-2");
  CHECK(code_of(ends.client) == Code::unauthenticated);
  CHECK_THAT(message_of(ends.client), Catch::Contains("signed by another authority"));
  CHECK(code_of(ends.server) == Code::unauthenticated);
  CHECK_THAT(message_of(ends.server), Catch::Contains("authority"));
}

TEST_CASE("a client that only the server refuses learns it from connect") {
  Cloud cloud;
  Cloud other;
  // The client trusts the server's authority, but has a certificate of another.
  HostFiles mixed = other.files("web-1");
  const HostIdentity honest = cloud.host("web-2");
  auto [a, b] = socket_pair();
  auto accepting = std::async(std::launch::async, [&, fd = std::move(b)]() mutable {
    return TlsConnection::accept(good(TlsContext::create(honest)), std::move(fd));
  });
  const Stranger stranger;
  CHECK(stranger.talk(mixed, std::move(a), true).empty());
  const auto refused = accepting.get();
  CHECK(code_of(refused) == Code::unauthenticated);
  CHECK_THAT(message_of(refused), Catch::Contains("\"web-1\": it was signed by another authority"));
}

TEST_CASE("a revoked client is refused, and told so") {
  Cloud cloud;
  const HostIdentity client = cloud.host("web-1");
  const HostIdentity server = cloud.host("web-2");
  good(cloud.authority.revoke("web-1"));
  good(cloud.authority.publish_crl());
  Ends ends = connect_ends(client, server, "web-2");
  CHECK(code_of(ends.server) == Code::unauthenticated);
  CHECK_THAT(message_of(ends.server), Catch::Contains("\"web-1\": it was revoked"));
  CHECK(code_of(ends.client) == Code::unauthenticated);
  CHECK_THAT(message_of(ends.client), Catch::Contains("our certificate was revoked"));
}

TEST_CASE("a revoked server is refused") {
  Cloud cloud;
  const HostIdentity client = cloud.host("web-1");
  const HostIdentity server = cloud.host("web-2");
  good(cloud.authority.revoke("web-2"));
  good(cloud.authority.publish_crl());
  Ends ends = connect_ends(client, server, "web-2");
  CHECK(code_of(ends.client) == Code::unauthenticated);
  CHECK_THAT(message_of(ends.client), Catch::Contains("\"web-2\": it was revoked"));
  CHECK(code_of(ends.server) == Code::unauthenticated);
}

TEST_CASE("an expired client is refused, and told so") {
  Cloud cloud;
  const HostIdentity client = cloud.host("web-1", 2);
  const HostIdentity server = cloud.host("web-2");
  cloud.clock.advance(2 * 86400 + 1);
  good(cloud.authority.publish_crl());
  Ends ends = connect_ends(client, server, "web-2");
  CHECK(code_of(ends.server) == Code::unauthenticated);
  CHECK_THAT(message_of(ends.server), Catch::Contains("\"web-1\": it has expired"));
  CHECK_THAT(message_of(ends.client), Catch::Contains("our certificate has expired"));
}

TEST_CASE("with a stale revocation list nobody is accepted") {
  Cloud cloud;
  const HostIdentity client = cloud.host("web-1");
  const HostIdentity server = cloud.host("web-2");
  cloud.clock.advance(8 * 86400);
  Ends ends = connect_ends(client, server, "web-2");
  CHECK(code_of(ends.client) == Code::expired);
  CHECK_THAT(message_of(ends.client), Catch::Contains("stale"));
}

TEST_CASE("with a rolled back revocation list nobody is accepted") {
  Cloud cloud;
  const HostIdentity client = cloud.host("web-1");
  const HostIdentity server = cloud.host("web-2");
  const std::string old = slurp(cloud.authority.crl_file());
  good(cloud.authority.publish_crl());
  good(connect_ends(client, server, "web-2").client);
  spit(cloud.authority.crl_file(), old);
  CHECK(code_of(connect_ends(client, server, "web-2").client) == Code::tampered);
}

TEST_CASE("a host under another name than the expected one is refused") {
  Cloud cloud;
  Ends ends = connect_ends(cloud.host("web-1"), cloud.host("web-2"), "web-3");
  CHECK(code_of(ends.client) == Code::unauthenticated);
  CHECK_THAT(message_of(ends.client), Catch::Contains("web-3") && Catch::Contains("is web-2's"));
  CHECK(code_of(ends.server) == Code::unauthenticated);
}

TEST_CASE("a client that does not keep our rules is refused") {
  Cloud cloud;
  const HostIdentity server = cloud.host("web-2");
  const HostFiles files = cloud.files("web-1");
  const auto verdict = [&](const Stranger& stranger) { return code_of(meet(server, files, stranger)); };
  CHECK(verdict({}) == Code::ok);
  CHECK(verdict({.certificate = false}) == Code::unauthenticated);
  CHECK(verdict({.version = TLS1_2_VERSION}) == Code::unauthenticated);
  CHECK(verdict({.alpn = "h2"}) == Code::unauthenticated);
  CHECK(verdict({.alpn = ""}) == Code::unauthenticated);
  CHECK(verdict({.ciphers = "TLS_AES_128_CCM_SHA256"}) == Code::unauthenticated);
  CHECK(verdict({.groups = "P-521"}) == Code::unauthenticated);
}

TEST_CASE("a server that does not keep our rules is refused") {
  Cloud cloud;
  const HostIdentity client = cloud.host("web-1");
  const HostFiles files = cloud.files("web-2");
  const auto verdict = [&](const Stranger& stranger) {
    auto [a, b] = socket_pair();
    auto talking = std::async(std::launch::async,
                              [&, fd = std::move(b)]() mutable { return stranger.talk(files, std::move(fd), false); });
    return code_of(TlsConnection::connect(good(TlsContext::create(client)), std::move(a), "web-2"));
  };
  CHECK(verdict({.version = TLS1_2_VERSION}) == Code::unauthenticated);
  CHECK(verdict({}) == Code::unauthenticated);  // it selects no ALPN
}

TEST_CASE("bytes that are no TLS, and silence, are no peer") {
  Cloud cloud;
  const TlsContext context = good(TlsContext::create(cloud.host("web-2")));
  auto [a, b] = socket_pair();
  const std::string garbage = "GET / HTTP/1.1\r\n\r\n";
  REQUIRE(::send(a.get(), garbage.data(), garbage.size(), 0) == static_cast<ssize_t>(garbage.size()));
  CHECK(code_of(TlsConnection::accept(context, std::move(b))) == Code::unauthenticated);
  auto [c, d] = socket_pair();
  CHECK(code_of(TlsConnection::accept(context, std::move(d), Microseconds{50'000})) == Code::timeout);
  auto [e, f] = socket_pair();
  e.reset();
  CHECK(code_of(TlsConnection::accept(context, std::move(f))) == Code::unavailable);
}

TEST_CASE("an announced frame beyond the limit is refused before it is allocated") {
  Cloud cloud;
  Stranger stranger;
  stranger.after = std::string("\xff\xff\xff\xff", 4);
  const auto server = good(meet(cloud.host("web-2"), cloud.files("web-1"), stranger));
  CHECK(code_of(server->receive()) == Code::limit_exceeded);
  CHECK(code_of(server->receive()) == Code::unavailable);
}

TEST_CASE("a frame that is cut short is a cut, with or without a goodbye") {
  Cloud cloud;
  Stranger stranger;
  stranger.after = frame_header(10) + "half";
  stranger.goodbye = GENERATE(true, false);
  const auto server = good(meet(cloud.host("web-2"), cloud.files("web-1"), stranger));
  const auto end = server->receive();
  CHECK(code_of(end) == Code::unavailable);
  CHECK_FALSE(ended_in_order(end.error()));
}

TEST_CASE("a peer that sent more than the last frame cannot be detached from") {
  Cloud cloud;
  Stranger stranger;
  stranger.after = frame_header(4) + "join" + "more";
  const auto server = good(meet(cloud.host("web-2"), cloud.files("web-1"), stranger));
  CHECK(good(server->receive()) == "join");
  CHECK(code_of(server->detach()) == Code::wrong_state);
  CHECK(code_of(server->send("x")) == Code::cancelled);
}

TEST_CASE("a flipped bit on the wire ends the connection") {
  Cloud cloud;
  auto [client_end, left] = socket_pair();
  auto [server_end, right] = socket_pair();
  std::atomic<bool> flip = false;
  std::jthread forward([&] {  // from client to server
    char bytes[4096];
    for (ssize_t count; (count = ::recv(left.get(), bytes, sizeof bytes, 0)) > 0;) {
      if (flip) bytes[count - 1] ^= 1;
      if (::send(right.get(), bytes, static_cast<std::size_t>(count), MSG_NOSIGNAL) != count) break;
    }
    ::shutdown(right.get(), SHUT_WR);
  });
  std::jthread backward([&] {
    char bytes[4096];
    for (ssize_t count; (count = ::recv(right.get(), bytes, sizeof bytes, 0)) > 0;) {
      if (::send(left.get(), bytes, static_cast<std::size_t>(count), MSG_NOSIGNAL) != count) break;
    }
    ::shutdown(left.get(), SHUT_WR);
  });
  auto accepting = std::async(std::launch::async, [&, fd = std::move(server_end)]() mutable {
    return TlsConnection::accept(good(TlsContext::create(cloud.host("web-2"))), std::move(fd));
  });
  const HostIdentity one = cloud.host("web-1");
  auto client = good(TlsConnection::connect(good(TlsContext::create(one)), std::move(client_end), "web-2"));
  auto server = good(accepting.get());
  flip = true;
  good(client->send("payload"));
  CHECK(code_of(server->receive()) == Code::tampered);
  client->shutdown();
  server->shutdown();
}

}  // namespace vmsec::test
