#include <thread>

#include "libvmsec/channel/pair.hpp"

namespace vmsec::test {

using namespace channel;

TEST_CASE("two hosts of one cloud meet, and agree on who and where they are") {
  const KeyType type = GENERATE(KeyType::ecdsa_p256, KeyType::ed25519);
  Cloud cloud(type);
  Ends ends = connect_ends(cloud.host("web-1"), cloud.host("web-2"), "web-2");
  const auto client = good(std::move(ends.client));
  const auto server = good(std::move(ends.server));
  CHECK(client->peer_name() == "web-2");
  CHECK(server->peer_name() == "web-1");
  CHECK(server->local_name() == "web-2");
  CHECK(client->peer_certificate_digest() == server->local_certificate_digest());
  CHECK(server->peer_certificate_digest() == client->local_certificate_digest());
  CHECK(server->peer_key_digest() == cloud.host("web-1").key_digest());
  CHECK(client->binding().size() == 32);
  CHECK(client->binding() == server->binding());
  CHECK(client->is_client());
  CHECK_FALSE(server->is_client());
  CHECK_THAT(client->cipher(), Catch::StartsWith("TLS_"));
}

TEST_CASE("binding and exported secrets are one connection's own") {
  Pair pair;
  Ends other = connect_ends(pair.one, pair.two, "web-2");
  const auto second = good(std::move(other.client));
  CHECK(second->binding() != pair.client->binding());
  const auto secret = good(pair.client->export_secret("EXPORTER-vmsec-a", "context", 32));
  CHECK(secret == good(pair.server->export_secret("EXPORTER-vmsec-a", "context", 32)));
  CHECK(secret != good(pair.server->export_secret("EXPORTER-vmsec-b", "context", 32)));
  CHECK(secret != good(pair.server->export_secret("EXPORTER-vmsec-a", "other", 32)));
  CHECK(secret != good(second->export_secret("EXPORTER-vmsec-a", "context", 32)));
  CHECK(code_of(pair.client->export_secret("EXPERIMENTAL", "", 32)) == Code::invalid_argument);
  CHECK(code_of(pair.client->export_secret("EXPORTER-vmsec-a", "", 0)) == Code::invalid_argument);
}

TEST_CASE("frames arrive whole, in order, of any size up to the limit") {
  Pair pair;
  const std::vector<std::size_t> sizes = {0, 1, 5, 16384, 16385, 1 << 20, kMaxFrame};
  std::jthread sender([&] {
    for (const std::size_t size : sizes) static_cast<void>(pair.client->send(std::string(size, 'x')));
  });
  for (const std::size_t size : sizes) CHECK(good(pair.server->receive()).size() == size);
  good(pair.server->send("answer"));
  CHECK(good(pair.client->receive(Microseconds{10'000'000})) == "answer");
}

TEST_CASE("a frame beyond the limit is not sent, and the connection lives on") {
  Pair pair;
  CHECK(code_of(pair.client->send(std::string(kMaxFrame + 1, 'x'))) == Code::limit_exceeded);
  good(pair.client->send("still here"));
  CHECK(good(pair.server->receive()) == "still here");
}

TEST_CASE("waiting for a frame ends in time, and the connection lives on") {
  Pair pair;
  CHECK(code_of(pair.server->receive(Microseconds{1000})) == Code::timeout);
  good(pair.client->send("late"));
  CHECK(good(pair.server->receive()) == "late");
}

TEST_CASE("an orderly end is told from a cut") {
  Pair pair;
  good(pair.client->send("last"));
  const bool orderly = GENERATE(true, false);
  if (orderly)
    pair.client->close();
  else
    pair.client->shutdown();
  CHECK(good(pair.server->receive()) == "last");
  const auto end = pair.server->receive();
  CHECK(code_of(end) == Code::unavailable);
  REQUIRE(!end);
  CHECK(ended_in_order(end.error()) == orderly);
  CHECK(code_of(pair.server->receive()) == Code::unavailable);  // and stays so
  CHECK(code_of(pair.client->send("more")) == Code::cancelled);
}

TEST_CASE("a peer that vanishes raises no signal") {
  Pair pair;
  pair.server.reset();
  Status sent;
  for (int i = 0; i < 100 && sent; ++i) sent = pair.client->send(std::string(100'000, 'x'));
  CHECK(code_of(sent) == Code::unavailable);
}

TEST_CASE("shutdown from another thread ends a wait") {
  Pair pair;
  auto waiting = std::async(std::launch::async, [&] { return pair.server->receive(); });
  pair.server->shutdown();
  CHECK(code_of(waiting.get()) == Code::cancelled);
  CHECK(code_of(pair.server->send("x")) == Code::cancelled);
}

TEST_CASE("one thread receives while others send") {
  Pair pair;
  constexpr int kEach = 50;
  const auto talk = [](TlsConnection& end) {
    std::vector<std::jthread> threads;
    for (int sender = 0; sender < 2; ++sender)
      threads.emplace_back([&end] {
        for (int i = 0; i < kEach; ++i) static_cast<void>(end.send(std::string(20'000, 'y')));
      });
    int whole = 0;
    for (int i = 0; i < 2 * kEach; ++i) {
      const auto frame = end.receive(Microseconds{30'000'000});
      if (frame && *frame == std::string(20'000, 'y')) ++whole;
    }
    return whole;
  };
  auto other = std::async(std::launch::async, [&] { return talk(*pair.server); });
  CHECK(talk(*pair.client) == 2 * kEach);
  CHECK(other.get() == 2 * kEach);
}

TEST_CASE("an open connection notices that its peer was revoked, or the list went stale") {
  Pair pair;
  good(pair.client->recheck_peer());
  good(pair.cloud.authority.revoke("web-2"));
  good(pair.cloud.authority.publish_crl(3600));
  CHECK(code_of(pair.client->recheck_peer()) == Code::unauthenticated);
  good(pair.server->recheck_peer());
  pair.cloud.clock.advance(3600);
  CHECK(code_of(pair.server->recheck_peer()) == Code::expired);
}

TEST_CASE("after a detach the raw socket carries on without a byte lost, whoever writes first") {
  Pair pair;
  const bool client_first = GENERATE(true, false);
  good(pair.client->send("join"));
  CHECK(good(pair.server->receive()) == "join");
  good(pair.server->send("welcome"));
  const Fd server = good(pair.server->detach());
  if (!client_first) REQUIRE(::send(server.get(), "raw-s", 5, 0) == 5);
  CHECK(good(pair.client->receive()) == "welcome");
  const Fd client = good(pair.client->detach());
  if (client_first) REQUIRE(::send(client.get(), "raw-c", 5, 0) == 5);
  char bytes[16] = {};
  REQUIRE(::recv((client_first ? server : client).get(), bytes, sizeof bytes, 0) == 5);
  CHECK(std::string(bytes) == (client_first ? "raw-c" : "raw-s"));
  CHECK(code_of(pair.client->send("x")) == Code::wrong_state);
  CHECK(code_of(pair.client->receive()) == Code::wrong_state);
  CHECK(code_of(pair.client->export_secret("EXPORTER-vmsec-a", "", 32)) == Code::wrong_state);
  CHECK(pair.client->binding().size() == 32);
}

TEST_CASE("a detached connection that is forgotten says nothing on the socket") {
  Pair pair;
  const Fd server = good(pair.server->detach());
  pair.server.reset();
  Fd client = good(pair.client->detach());
  pair.client.reset();
  client.reset();
  char byte = 0;
  CHECK(::recv(server.get(), &byte, 1, 0) == 0);
}

}  // namespace vmsec::test
