// Modules of two hosts, over the one TLS channel on the loopback.
#include <condition_variable>

#include "host/authority_service.hpp"
#include "host/modules_service.hpp"
#include "host/peer_protocol.hpp"
#include "host/peer_server.hpp"
#include "host/peers_service.hpp"
#include "libvmsec/channel/pair.hpp"

namespace vmsec::test {
namespace {

using namespace host;

// web-2 serves a module "twin" that answers what it got; web-1's modules call it.
struct Two {
  Two() {
    server = good(PeerServer::start(
        good(TlsContext::create(cloud.host("web-2"))), "127.0.0.1:0", connections,
        [this](const std::string& module, std::uint32_t method, Packet packet) {
          return serve(module, method, std::move(packet));
        },
        [this](const std::string& peer, const Error& error) {
          const std::lock_guard lock(mutex);
          refused.push_back(peer + ": " + error.message);
          changed.notify_all();
        }));
  }
  ~Two() { server.reset(); }
  Two(const Two&) = delete;
  Two& operator=(const Two&) = delete;

  Result<Packet> serve(const std::string& module, std::uint32_t method, Packet packet) {
    if (module != "twin") return fail(Code::not_found, "no module " + module);
    if (method == 1) {
      VMSEC_TRY(const auto call, wire::unpack<IncomingCall>(std::move(packet)));
      if (call.payload == "wait") std::ignore = released.get_future().wait_for(std::chrono::seconds(30));
      if (call.payload == "refuse") return fail(Code::denied, "not that");
      return wire::pack(PeerReply{call.from.peer + " said " + call.payload});
    }
    if (method == 2) {
      VMSEC_TRY(const auto stream, wire::unpack<IncomingStream>(std::move(packet)));
      if (stream.payload == "refuse") return fail(Code::denied, "no such stream");
      return wire::pack(PeerReply{"admitted"});
    }
    const std::lock_guard lock(mutex);
    if (method == 3) {
      VMSEC_TRY(ready, wire::unpack<StreamReady>(std::move(packet)));
    } else {
      disconnected = true;
    }
    changed.notify_all();
    return wire::pack(Empty{});
  }

  template <class Condition>
  bool wait_for(Condition&& condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(60), condition);
  }

  std::unique_ptr<PeersService> peers(const std::string& module) {
    return std::make_unique<PeersService>(module, good(TlsContext::create(cloud.host("web-1"))),
                                          std::map<std::string, std::string>{{"web-2", server->address()}}, outgoing);
  }

  Cloud cloud;
  Connections connections;
  Connections outgoing;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> refused;
  StreamReady ready;
  bool disconnected = false;
  std::promise<void> released;
  std::unique_ptr<PeerServer> server;
};

}  // namespace

TEST_CASE("a module calls its twin, and its twin knows from the certificate who calls") {
  Two two;
  const auto peers = two.peers("twin");
  const auto context = good(peers->connect({"web-2"}));
  CHECK(context.peer == "web-2");
  CHECK(context.local == "web-1");
  CHECK(good(peers->call({context.connection, 1, "hello", {}})).payload == "web-1 said hello");
  CHECK(good(peers->check({context.connection})).binding == context.binding);
  const auto refused = peers->call({context.connection, 1, "refuse", {}});
  CHECK(code_of(refused) == Code::denied);
  CHECK(good(peers->call({context.connection, 1, "again", {}})).payload == "web-1 said again");

  CHECK(peers->close({context.connection}));
  CHECK(peers->close({context.connection}));
  CHECK(code_of(peers->call({context.connection, 1, "gone", {}})) == Code::unavailable);
  CHECK(two.wait_for([&] { return two.disconnected; }));
}

TEST_CASE("a connection that comes when all are ended is ended too: nobody waits for it") {
  Two two;
  two.connections.shut_down_all();
  const auto peers = two.peers("twin");
  const auto context = peers->connect({"web-2"});
  if (context) CHECK(code_of(peers->call({context->connection, 1, "hello", {}})) == Code::unavailable);
  two.server.reset();
}

TEST_CASE("a host that was revoked is answered no more, also on a connection that is open") {
  Two two;
  const auto peers = two.peers("twin");
  const auto context = good(peers->connect({"web-2"}));
  CHECK(peers->call({context.connection, 1, "hello", {}}));
  good(two.cloud.authority.revoke("web-1"));
  good(two.cloud.authority.publish_crl());
  const auto late = peers->call({context.connection, 1, "again", {}});
  CHECK(code_of(late) == Code::unauthenticated);
  CHECK_THAT(message_of(late), Catch::Contains("revoked"));
  CHECK(two.wait_for([&] { return two.disconnected; }));
  CHECK_THAT(two.refused.front(), Catch::StartsWith("web-1: "));
}

TEST_CASE("a ticket is not spent over a connection whose host was revoked") {
  Two two;
  const auto context = good(two.peers("twin")->connect({"web-2"}));
  const HostIdentity one = two.cloud.host("web-1");
  AuthorityService authority("twin", one, good(SpentTickets::open(one.files().state_dir)), two.outgoing);
  const SpendTicket nonsense{"no ticket", Uuid(), {}, context.connection, true};
  CHECK(code_of(authority.spend(nonsense)) == Code::invalid_argument);
  good(two.cloud.authority.revoke("web-2"));
  good(two.cloud.authority.publish_crl());
  CHECK(code_of(authority.spend(nonsense)) == Code::unauthenticated);
}

TEST_CASE("a request beyond any that is known ends its connection before the module hears of it") {
  Two two;
  const auto peers = two.peers("twin");
  const auto context = good(peers->connect({"web-2"}));
  CHECK(good(peers->call({context.connection, 1, std::string(1 << 20, 'x'), {}})).payload.size() > std::size_t{1}
                                                                                                       << 20);
  CHECK(code_of(peers->call({context.connection, 1, std::string(3 << 20, 'x'), {}})) == Code::unavailable);
  CHECK(two.wait_for([&] { return two.refused.size() == 1 && two.disconnected; }));
  CHECK_THAT(two.refused.at(0), Catch::Contains("web-1") && Catch::Contains("frame of"));
}

TEST_CASE("a module that the other host does not have is not found") {
  Two two;
  const auto peers = two.peers("other");
  const auto context = good(peers->connect({"web-2"}));
  CHECK(code_of(peers->call({context.connection, 1, "hello", {}})) == Code::not_found);
}

TEST_CASE(
    "a connection is its module's own: another one neither calls, opens streams, checks, spends nor closes with it") {
  Two two;
  const auto context = good(two.peers("twin")->connect({"web-2"}));
  const auto thief = two.peers("thief");
  CHECK(code_of(thief->call({context.connection, 1, "hello", {}})) == Code::denied);
  CHECK(code_of(thief->open_stream({context.connection, "bulk"})) == Code::denied);
  CHECK(code_of(thief->check({context.connection})) == Code::denied);
  CHECK(code_of(thief->close({context.connection})) == Code::denied);
  CHECK_THAT(message_of(thief->check({context.connection})), Catch::Contains("thief"));
  const HostIdentity one = two.cloud.host("web-1");
  AuthorityService authority("thief", one, good(SpentTickets::open(one.files().state_dir)), two.outgoing);
  CHECK(code_of(authority.spend({"no ticket", Uuid(), {}, context.connection, true})) == Code::denied);
  CHECK(two.peers("twin")->check({context.connection}));
}

TEST_CASE("a connection is passed on with a question, until that is answered, and by its owner only") {
  Two two;
  const auto context = good(two.peers("twin")->connect({"web-2"}));
  const auto prover = two.peers("prover");
  Code during = Code::internal;
  const auto ask = [&](const std::string& caller, std::uint64_t connection) {
    loader::Manifest manifest;
    manifest.name = caller;
    manifest.asks = {"vmsec.Attestation"};
    ModulesService modules(
        manifest, two.outgoing, [](std::string_view) { return Result<std::string>("prover"); },
        [&](std::string_view, std::uint32_t, Packet) {
          during = code_of(prover->check({context.connection}));
          return Result<Packet>(Packet{});
        });
    return code_of(modules.call({"vmsec.Attestation", 1, {}, connection}));
  };
  CHECK(ask("twin", 0) == Code::ok);
  CHECK(during == Code::denied);
  CHECK(ask("twin", context.connection) == Code::ok);
  CHECK(during == Code::ok);
  CHECK(code_of(prover->check({context.connection})) == Code::denied);
  during = Code::internal;
  CHECK(ask("thief", context.connection) == Code::denied);
  CHECK(during == Code::internal);  // it was not even asked
}

TEST_CASE("a module asks another about hosts, and does not say which are to be trusted") {
  Connections connections;
  loader::Manifest manifest;
  manifest.name = "migration";
  manifest.asks = {"vmsec.Attestation", "measured_boot:vmsec.Attestation", "vmsec.GuestAttestation",
                   "vmsec.Inspection"};
  std::uint32_t answered = 0;
  ModulesService modules(
      manifest, connections, [](std::string_view) { return Result<std::string>("measured_boot"); },
      [&](std::string_view, std::uint32_t, Packet) {
        ++answered;
        return Result<Packet>(Packet{});
      });
  for (const std::uint32_t number : {1, 4, 5}) CHECK(modules.call({"vmsec.Attestation", number, {}, 0}));
  CHECK(modules.call({"vmsec.Inspection", 2, {}, 0}));
  CHECK(answered == 4);
  for (const std::uint32_t number : {2, 3, 6, 7, 1000}) {
    CHECK(code_of(modules.call({"vmsec.Attestation", number, {}, 0})) == Code::denied);
    CHECK(code_of(modules.call({"measured_boot:vmsec.Attestation", number, {}, 0})) == Code::denied);
  }
  for (const std::uint32_t number : {1, 2, 3, 4, 5})
    CHECK(code_of(modules.call({"vmsec.GuestAttestation", number, {}, 0})) == Code::denied);
  CHECK(answered == 4);
}

TEST_CASE("a connection is closed by its owner only") {
  Two two;
  const auto context = good(two.peers("twin")->connect({"web-2"}));
  CHECK(code_of(two.peers("thief")->close({context.connection})) == Code::denied);
  CHECK(two.peers("twin")->close({context.connection}));
}

TEST_CASE("an answer that does not come in time ends the connection: it is no answer to the next call") {
  Two two;
  const auto peers = two.peers("twin");
  const auto context = good(peers->connect({"web-2"}));
  const auto late = peers->call({context.connection, 1, "wait", Microseconds{50'000}});
  CHECK(code_of(late) == Code::timeout);
  CHECK_THAT(message_of(late), Catch::Contains("web-2"));
  CHECK(code_of(peers->call({context.connection, 1, "next", {}})) == Code::unavailable);
  two.released.set_value();
}

TEST_CASE("a stream is admitted by the twin, and both ends hold each other's secrets") {
  Two two;
  const auto peers = two.peers("twin");
  const auto context = good(peers->connect({"web-2"}));
  const StreamEnd mine = good(peers->open_stream({context.connection, "bulk"}));
  CHECK(mine.payload == "admitted");
  REQUIRE(two.wait_for([&] { return two.ready.stream.fd.valid(); }));
  CHECK(two.ready.from.peer == "web-1");
  CHECK(two.ready.payload == "bulk");
  CHECK(mine.send_secret == two.ready.stream.receive_secret);
  CHECK(mine.receive_secret == two.ready.stream.send_secret);
  CHECK(mine.send_secret != mine.receive_secret);
  CHECK(mine.send_secret.size() == 32);
  REQUIRE(::send(mine.fd.get(), "raw", 3, MSG_NOSIGNAL) == 3);
  char bytes[4] = {};
  CHECK(::recv(two.ready.stream.fd.get(), bytes, 3, MSG_WAITALL) == 3);

  const auto refused = peers->open_stream({context.connection, "refuse"});
  CHECK(code_of(refused) == Code::denied);
  CHECK(two.wait_for([&] { return !two.refused.empty(); }));
  CHECK(code_of(peers->open_stream({context.connection, std::string(4097, 'x')})) == Code::limit_exceeded);
}

TEST_CASE("without identity or [[peer]] nobody is reached") {
  Two two;
  CHECK(code_of(two.peers("twin")->connect({"web-3"})) == Code::not_found);
  PeersService alone("twin", std::nullopt, {{"web-2", two.server->address()}}, two.outgoing);
  CHECK(code_of(alone.connect({"web-2"})) == Code::wrong_state);
  CHECK(code_of(alone.call({17, 1, {}, {}})) == Code::unavailable);
}

TEST_CASE("another host at the peer's address is refused by name") {
  Two two;
  PeersService peers("twin", good(TlsContext::create(two.cloud.host("web-1"))), {{"web-3", two.server->address()}},
                     two.outgoing);
  CHECK(code_of(peers.connect({"web-3"})) == Code::unauthenticated);
}

TEST_CASE("on a connection that the peer opened, the peer asks") {
  Two two;
  const auto peers = two.peers("twin");
  const auto context = good(peers->connect({"web-2"}));
  CHECK(peers->call({context.connection, 1, "hello", {}}));
  // The server's own module calls back on the connection that web-1 opened.
  PeersService back("twin", good(TlsContext::create(two.cloud.host("web-2"))), {}, two.connections);
  CHECK(code_of(back.call({1, 1, "back", {}})) == Code::wrong_state);
  CHECK(good(back.check({1})).peer == "web-1");
  PeersService other("other", good(TlsContext::create(two.cloud.host("web-2"))), {}, two.connections);
  CHECK(code_of(other.check({1})) == Code::denied);  // the peer has not called it
}

TEST_CASE("a first message that is none, or has no purpose, is refused and told") {
  Two two;
  const HostIdentity one = two.cloud.host("web-1");
  const auto tls =
      good(TlsConnection::connect(good(TlsContext::create(one)), two.server->address(), std::string("web-2")));
  good(tls->send(
      GENERATE(as<std::string>{}, "\xff\xff garbage", "", wire::encode(Hello{static_cast<Purpose>(9), {}, {}}))));
  CHECK(code_of(tls->receive()) == Code::unavailable);
  CHECK(two.wait_for([&] { return !two.refused.empty(); }));
  CHECK_THAT(two.refused.front(), Catch::StartsWith("web-1: "));
}

TEST_CASE("garbage for a request is answered with an error, and the connection lives on") {
  Two two;
  const HostIdentity one = two.cloud.host("web-1");
  const auto tls =
      good(TlsConnection::connect(good(TlsContext::create(one)), two.server->address(), std::string("web-2")));
  good(tls->send(wire::encode(Hello{Purpose::calls, {}, {}})));
  CHECK(decode_answer(good(tls->receive())));
  good(tls->send("\x0a\xff"));
  const auto answer = decode_answer(good(tls->receive()));
  CHECK(code_of(answer) == Code::invalid_argument);
  CHECK_THAT(message_of(answer), Catch::Contains("vmsec.peer.Request"));
  good(tls->send(wire::encode(PeerRequest{"twin", 1, "hello"})));
  CHECK(decode_answer(good(tls->receive())));
}

}  // namespace vmsec::test
