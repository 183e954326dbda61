// Who may add a stream to a migration.
#include <catch2/catch.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <thread>

#include "fake_host.hpp"
#include "key_schedule.hpp"

using namespace vmsec;
using namespace vmsec::migration;
using namespace vmsec::migration::test;

namespace {

// A destination that has accepted a migration whose source is the test.
struct Prepared {
  Pair pair;
  const PeerContext control{"host-a", "host-b", "certificate of host-a", "c", 500, {}};
  const PeerContext stream{"host-a", "host-b", "certificate of host-a", "c", 0, {}};
  const std::string secret = std::string(32, 's');
  const Uuid migration = *random_uuid();

  Prepared() {
    MigrationOptions options;
    options.bulk_channels = 1;
    const PrepareRequest request{kProtocolVersion,
                                 migration,
                                 "ticket-j",
                                 *pair.a.hypervisor.describe({kDomain}),
                                 options,
                                 Cipher::aes_128_gcm,
                                 EncryptionPolicy::required,
                                 secret,
                                 0,
                                 StreamSuite::bulk};
    const auto reply = pair.b.module()->incoming_call({control, 1, wire::encode(request)});
    REQUIRE(reply);
  }
  ~Prepared() { std::ignore = pair.b.module()->disconnected(control); }

  JoinRequest request(ChannelKind kind, std::uint32_t index, std::uint32_t ordinal) const {
    StreamName name{migration, kind, index, ordinal, std::string(32, 'n')};
    return {migration, kind, index, ordinal, name.source_nonce, *join_proof(secret, name)};
  }
  Result<PeerReply> join(const JoinRequest& request) {
    return pair.b.module()->incoming_stream({stream, wire::encode(request)});
  }
  Result<PeerReply> join_from(const PeerContext& from, const JoinRequest& request) {
    return pair.b.module()->incoming_stream({from, wire::encode(request)});
  }
};

void expect(const Result<PeerReply>& reply, Code code) {
  REQUIRE_FALSE(reply);
  INFO(reply.error().message);
  CHECK(reply.error().code == code);
}

}  // namespace

TEST_CASE("a stream that proves the secret joins, once and in order") {
  Prepared host;
  CHECK(host.join(host.request(ChannelKind::control, 0, 1)));
  expect(host.join(host.request(ChannelKind::control, 0, 2)), Code::already_exists);
  expect(host.join(host.request(ChannelKind::control, 0, 1)), Code::wrong_state);
  expect(host.join(host.request(ChannelKind::bulk, 0, 3)), Code::wrong_state);
  CHECK(host.join(host.request(ChannelKind::main, 0, 2)));
}

TEST_CASE("a stream that lacks the secret, or is another's, is refused and audited") {
  Prepared host;
  JoinRequest request = host.request(ChannelKind::main, 0, 1);
  SECTION("a wrong proof") { request.proof[3] ^= 1; }
  SECTION("no proof") { request.proof.clear(); }
  SECTION("a proof for another kind") { request.kind = ChannelKind::bulk; }
  SECTION("a proof for another index") { request.index = 1; }
  SECTION("a proof for another place") { request.ordinal = 2; }
  SECTION("another nonce") { request.nonce[0] ^= 1; }
  SECTION("a proof for another suite") {
    const StreamName name{host.migration, ChannelKind::main, 0, 1, request.nonce, StreamSuite::tls};
    request.proof = *join_proof(host.secret, name);
  }
  SECTION("a short nonce") {
    StreamName name{host.migration, ChannelKind::main, 0, 1, "short"};
    request.nonce = "short";
    request.proof = *join_proof(host.secret, name);
  }
  expect(host.join(request), Code::unauthenticated);
  CHECK(host.pair.b.audited("migration.join", Outcome::refused));
}

TEST_CASE("a stream from another host, or of another certificate, is refused even with the proof") {
  Prepared host;
  const JoinRequest request = host.request(ChannelKind::control, 0, 1);
  PeerContext other = host.stream;
  SECTION("another host") { other.peer = "host-c"; }
  SECTION("another certificate") { other.peer_certificate = "certificate of another"; }
  expect(host.join_from(other, request), Code::unauthenticated);
}

TEST_CASE("a stream of no migration, or of an unknown kind, is refused") {
  Prepared host;
  JoinRequest request = host.request(ChannelKind::control, 0, 1);
  SECTION("no such migration") {
    request.migration = *random_uuid();
    expect(host.join(request), Code::unauthenticated);
  }
  SECTION("unknown kind") {
    expect(host.join(host.request(static_cast<ChannelKind>(9), 0, 1)), Code::invalid_argument);
  }
  SECTION("not a message") {
    const auto reply = host.pair.b.module()->incoming_stream({host.stream, "\xff\xff\xff"});
    expect(reply, Code::invalid_argument);
  }
}

TEST_CASE("a second PREPARE for the same migration or domain is refused") {
  Prepared host;
  PrepareRequest again{kProtocolVersion,
                       host.migration,
                       "ticket-k",
                       *host.pair.a.hypervisor.describe({kDomain}),
                       {},
                       Cipher::aes_128_gcm,
                       EncryptionPolicy::required,
                       host.secret,
                       0,
                       StreamSuite::bulk};
  const auto call = [&] { return host.pair.b.module()->incoming_call({host.control, 1, wire::encode(again)}); };
  expect(call(), Code::already_exists);
  again.migration = *random_uuid();
  expect(call(), Code::already_exists);
  CHECK_FALSE(host.pair.b.spent.contains("ticket-k"));
}

TEST_CASE("a bad PREPARE is refused before its ticket is spent") {
  Pair pair;
  const PeerContext control{"host-a", "host-b", "certificate of host-a", "c", 500, {}};
  PrepareRequest request{kProtocolVersion,
                         *random_uuid(),
                         "ticket-p",
                         *pair.a.hypervisor.describe({kDomain}),
                         {},
                         Cipher::aes_128_gcm,
                         EncryptionPolicy::required,
                         std::string(32, 's'),
                         0,
                         StreamSuite::bulk};
  SECTION("another version") { request.version = 2; }
  SECTION("no id") { request.migration = {}; }
  SECTION("a short secret") { request.secret = "short"; }
  SECTION("an unknown cipher") { request.cipher = static_cast<Cipher>(44); }
  SECTION("cipher policy") { request.cipher = Cipher::policy; }
  SECTION("another suite") { request.suite = StreamSuite::tls; }
  SECTION("no suite") { request.suite = StreamSuite::unknown; }
  SECTION("an absurd configuration") { request.description.configuration.assign(2 << 20, 'x'); }
  CHECK_FALSE(pair.b.module()->incoming_call({control, 1, wire::encode(request)}));
  CHECK(pair.b.spent.empty());
  CHECK(pair.b.disk.empty());
}

TEST_CASE("SWITCH counts only on the migration's own connection, with the right manifest") {
  Prepared host;
  const std::string request =
      wire::encode(SwitchRequest{host.migration, {FlushPoint{ChannelKind::main, 0, {1}, 1, {}}}, false});
  PeerContext other = host.control;
  other.connection = 501;
  expect(host.pair.b.module()->incoming_call({other, 2, request}), Code::denied);
  CHECK(host.pair.b.audited("migration.switch", Outcome::refused));
  expect(host.pair.b.module()->incoming_call({host.control, 2, request}), Code::tampered);
  // That was the end of it: the destination has given up.
  CHECK(eventually([&] { return host.pair.b.undecided() == 0; }));
  CHECK(host.pair.b.hypervisor.state(kDomain) == DomainState::unknown);
}

TEST_CASE("what the destination's hypervisor refuses is audited, with the peer, and ends the migration") {
  Prepared host;
  FakeHost& b = host.pair.b;
  SECTION("while the source listens") { b.hypervisor.refuse(host.migration, "procedure 11: not part of a migration"); }
  SECTION("also where the source hangs up before anybody looked") {
    b.hypervisor.behaviour.refuse_on_cancel = "procedure 11: not part of a migration";
    std::ignore = b.module()->disconnected(host.control);
  }
  CHECK(eventually([&] { return b.undecided() == 0; }));
  CHECK(b.hypervisor.state(kDomain) == DomainState::unknown);
  const auto told = [&] {
    const std::lock_guard lock(b.mutex);
    return std::count_if(b.journal.begin(), b.journal.end(), [&](const AuditEntry& entry) {
      return entry.action == "migration.rpc" && entry.outcome == Outcome::refused && entry.peer == "host-a" &&
             entry.detail.find("procedure 11") != std::string::npos &&
             entry.detail.find(host.migration.text()) != std::string::npos;
    });
  };
  CHECK(eventually([&] { return told() == 1; }));
}

TEST_CASE("an unknown call is unsupported") {
  Pair pair;
  const PeerContext control{"host-a", "host-b", "certificate of host-a", "c", 500, {}};
  expect(pair.b.module()->incoming_call({control, 99, {}}), Code::unsupported);
  expect(pair.b.module()->incoming_call({control, 3, "\xff"}), Code::invalid_argument);
}

namespace {

struct SocketEnds {
  Fd near, far;
};

SocketEnds socket_ends() {
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  return {Fd(pair[0]), Fd(pair[1])};
}

// Carries bytes from one socket to the other and changes one of them, or stops.
enum class Harm { flip, cut };
void relay(int from, int to, std::size_t at, Harm harm) {
  std::vector<char> buffer(65536);
  std::size_t seen = 0;
  while (true) {
    const ssize_t count = ::recv(from, buffer.data(), buffer.size(), 0);
    if (count <= 0) break;
    auto size = static_cast<std::size_t>(count);
    const bool hit = at >= seen && at < seen + size;
    if (hit && harm == Harm::flip) buffer[at - seen] = static_cast<char>(buffer[at - seen] ^ 0x10);
    if (hit && harm == Harm::cut) size = at - seen;
    if (::send(to, buffer.data(), size, MSG_NOSIGNAL) <= 0) break;
    if (hit && harm == Harm::cut) break;
    seen += static_cast<std::size_t>(count);
  }
  ::shutdown(to, SHUT_RDWR);
  ::shutdown(from, SHUT_RDWR);
}

}  // namespace

TEST_CASE("a wire that changes or cuts a stream moves nothing") {
  const auto suite = GENERATE(as<std::string>(), "bulk", "tls");
  const auto harm = GENERATE(Harm::flip, Harm::cut);
  const auto kind = GENERATE(ChannelKind::main, ChannelKind::bulk);
  std::vector<std::thread> relays;
  std::vector<Fd> ends;
  {
    const std::vector<Setting> settings{text_setting("suite", suite)};
    Pair pair(settings, settings);
    pair.network.make_wire = [&](const JoinRequest& join) -> std::pair<Fd, Fd> {
      auto left = socket_ends();
      if (join.kind != kind || join.index != 0) return {std::move(left.near), std::move(left.far)};
      auto right = socket_ends();
      const int in = left.far.get(), out = right.near.get();
      relays.emplace_back([in, out, harm] { relay(in, out, 300'000, harm); });
      relays.emplace_back([in, out, harm] { relay(out, in, std::size_t(-1), harm); });
      ends.push_back(std::move(left.far));
      ends.push_back(std::move(right.near));
      return {std::move(left.near), std::move(right.far)};
    };
    const MigrationStatus status = pair.run();
    INFO(status.cause);
    CHECK(status.state == MigrationState::failed);
    CHECK(pair.runs_at_source());
    CHECK(eventually([&] { return pair.b.undecided() == 0; }));
    CHECK(pair.b.hypervisor.state(kDomain) == DomainState::unknown);
    CHECK_FALSE(pair.watch.violated());
  }
  for (auto& each : relays) each.join();
}

TEST_CASE("a request that is larger than its kind can be is not decoded") {
  Prepared prepared;
  // A list of empty entries: two bytes each on the wire, many more in memory.
  std::string many;
  for (int i = 0; i < 100'000; ++i) many += std::string("\x12\x00", 2);
  for (const Call method : {Call::switch_over, Call::commit, Call::abort, Call::query, Call::resolve}) {
    const auto reply =
        prepared.pair.b.module()->incoming_call({prepared.control, static_cast<std::uint32_t>(method), many});
    expect(reply, Code::limit_exceeded);
  }
  const std::string huge(2'000'000, '\x12');
  expect(prepared.pair.b.module()->incoming_call({prepared.control, static_cast<std::uint32_t>(Call::prepare), huge}),
         Code::limit_exceeded);
  // What it was about is as before.
  CHECK(prepared.join(prepared.request(ChannelKind::control, 0, 1)));
}
