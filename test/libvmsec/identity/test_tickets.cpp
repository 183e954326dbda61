#include <sys/wait.h>

#include <thread>

#include "libvmsec/identity/craft.hpp"

namespace vmsec::test {
namespace {

// web-1 moves a domain to web-2.
struct Move {
  Cloud cloud;
  HostIdentity source = cloud.host("web-1");
  HostIdentity destination = cloud.host("web-2");

  [[nodiscard]] TicketClaims claims() const {
    TicketClaims out;
    out.domain = *Uuid::parse("12345678-1234-1234-1234-123456789abc");
    out.configuration_digest = std::string(32, 'c');
    out.source = "web-1";
    out.source_key = source.key_digest();
    out.destination = "web-2";
    out.destination_key = destination.key_digest();
    out.not_before = cloud.clock.now();
    out.expires = UnixSeconds{cloud.clock.now().value + 600};
    return out;
  }
  [[nodiscard]] TicketExpectation incoming() const {
    return {claims().domain, claims().configuration_digest, "web-1", source.key_digest(), TicketDirection::incoming};
  }
  [[nodiscard]] TicketExpectation outgoing() const {
    return {claims().domain, claims().configuration_digest, "web-2", destination.key_digest(),
            TicketDirection::outgoing};
  }
  [[nodiscard]] Result<TicketClaims> receive(const std::string& ticket) const {
    return destination.verify_ticket(ticket, incoming(), cloud.clock.now());
  }
  [[nodiscard]] std::string ticket() const { return good(cloud.placement.sign(claims())); }
};

// Claims of any form, signed by any key, as a forger would.
std::string forge(const std::string& claims, const fs::path& key_file, std::string label = std::string(kTicketLabel)) {
  const KeyPtr key = read_key(key_file);
  label += '\0';
  label += claims;
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  const EVP_MD* digest = EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
  std::string signature(256, '\0');
  std::size_t size = signature.size();
  REQUIRE(EVP_DigestSignInit(context, nullptr, digest, nullptr, key.get()) == 1);
  REQUIRE(EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size,
                         reinterpret_cast<const unsigned char*>(label.data()), label.size()) == 1);
  EVP_MD_CTX_free(context);
  signature.resize(size);
  return wire::encode(SignedTicket{claims, signature});
}

}  // namespace

TEST_CASE("a placement key's ticket is good at both ends") {
  const Move move;
  const std::string ticket = move.ticket();
  const TicketClaims received = good(move.receive(ticket));
  CHECK(received.id.size() == 32);
  CHECK(received.placement_key == move.cloud.placement.public_key().digest());
  CHECK(good(move.source.verify_ticket(ticket, move.outgoing(), move.cloud.clock.now())).id == received.id);
  CHECK(good(move.receive(move.ticket())).id != received.id);
}

TEST_CASE("a P-256 placement key works as well") {
  Move move;
  const auto key = good(PlacementKey::create(move.cloud.dir.path() / "p256.key", KeyType::ecdsa_p256));
  HostFiles files = move.destination.files();
  files.placement_keys.push_back(move.cloud.dir.path() / "p256.key.pub");
  move.destination = good(HostIdentity::load(files, move.cloud.clock.clock()));
  CHECK(code_of(move.receive(good(key.sign(move.claims())))) == Code::ok);
}

TEST_CASE("a ticket for another domain, configuration or host is denied") {
  const Move move;
  const HostIdentity third = const_cast<Cloud&>(move.cloud).host("web-3");
  const auto verdict = [&](auto change) {
    TicketClaims claims = move.claims();
    change(claims);
    return code_of(move.receive(good(move.cloud.placement.sign(claims))));
  };
  CHECK(verdict([](TicketClaims&) {}) == Code::ok);
  CHECK(verdict([](TicketClaims& c) { c.domain = *Uuid::parse("12345678-1234-1234-1234-123456789abd"); }) ==
        Code::denied);
  CHECK(verdict([](TicketClaims& c) { c.configuration_digest.back() ^= 1; }) == Code::denied);
  CHECK(verdict([](TicketClaims& c) { c.source = "web-3"; }) == Code::denied);
  CHECK(verdict([](TicketClaims& c) { c.destination = "web-3"; }) == Code::denied);
  CHECK(verdict([&](TicketClaims& c) { c.source_key = third.key_digest(); }) == Code::denied);
  CHECK(verdict([&](TicketClaims& c) { c.destination_key = third.key_digest(); }) == Code::denied);
  const auto ticket = move.ticket();
  CHECK(code_of(move.destination.verify_ticket(ticket, move.outgoing(), move.cloud.clock.now())) == Code::denied);
  CHECK(code_of(move.source.verify_ticket(ticket, move.incoming(), move.cloud.clock.now())) == Code::denied);
  TicketExpectation impostor = move.incoming();
  impostor.peer_key = third.key_digest();
  CHECK(code_of(move.destination.verify_ticket(ticket, impostor, move.cloud.clock.now())) == Code::denied);
  impostor.peer_key.clear();
  CHECK(code_of(move.destination.verify_ticket(ticket, impostor, move.cloud.clock.now())) == Code::invalid_argument);
}

TEST_CASE("a ticket is good in its time only") {
  Move move;
  const std::string ticket = move.ticket();
  move.cloud.clock.advance(-static_cast<std::int64_t>(kTicketSkewSeconds));
  CHECK(code_of(move.receive(ticket)) == Code::ok);
  move.cloud.clock.advance(-1);
  CHECK(code_of(move.receive(ticket)) == Code::denied);
  move.cloud.clock.advance(kTicketSkewSeconds + 600);
  CHECK(code_of(move.receive(ticket)) == Code::ok);
  move.cloud.clock.advance(1);
  CHECK(code_of(move.receive(ticket)) == Code::expired);
}

TEST_CASE("a ticket that was signed by a host's own key is denied, whoever lists it") {
  Move move;
  const bool by_source = GENERATE(true, false);
  const fs::path key = (by_source ? move.source : move.destination).files().key;
  TicketClaims claims = move.claims();
  claims.id = good(new_ticket_id());
  claims.placement_key = good(PublicKey::load(fs::path(key).replace_extension(".crt"))).digest();
  const std::string ticket = forge(wire::encode(claims), key);
  CHECK(code_of(move.receive(ticket)) == Code::denied);
  // An operator who lists the source's key as a placement key does not change that.
  HostFiles files = move.destination.files();
  files.placement_keys.push_back(move.source.files().certificate);
  move.destination = good(HostIdentity::load(files, move.cloud.clock.clock()));
  const auto denied = move.receive(ticket);
  CHECK(code_of(denied) == Code::denied);
  CHECK_THAT(message_of(denied), Catch::Contains("a host's own key signed it"));
  // Nor does a host's key in a placement key's place sign any.
  CHECK(code_of(good(PlacementKey::open(key)).sign(move.claims())) == Code::denied);
}

TEST_CASE("a ticket by a stranger's key is denied, and by a stranger in our key's name tampered") {
  const Move move;
  const auto stranger = good(PlacementKey::create(move.cloud.dir.path() / "stranger.key"));
  CHECK(code_of(move.receive(good(stranger.sign(move.claims())))) == Code::denied);
  TicketClaims claims = move.claims();
  claims.id = good(new_ticket_id());
  claims.placement_key = move.cloud.placement.public_key().digest();
  CHECK(code_of(move.receive(forge(wire::encode(claims), move.cloud.dir.path() / "stranger.key"))) == Code::tampered);
  const fs::path ours = move.cloud.dir.path() / "placement.key";
  CHECK(code_of(move.receive(forge(wire::encode(claims), ours))) == Code::ok);
  CHECK(code_of(move.receive(forge(wire::encode(claims), ours, "vmsec other v1"))) == Code::tampered);
}

TEST_CASE("no cut and no flipped bit of a ticket is accepted") {
  const Move move;
  const std::string ticket = move.ticket();
  for (std::size_t size = 0; size < ticket.size(); ++size)
    CHECK(code_of(move.receive(ticket.substr(0, size))) == Code::invalid_argument);
  std::size_t accepted = 0;
  for (std::size_t bit = 0; bit < 8 * ticket.size(); ++bit) {
    std::string changed = ticket;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    if (move.receive(changed)) ++accepted;
  }
  CHECK(accepted == 0);
  CHECK(code_of(move.receive(ticket + '\0')) == Code::invalid_argument);
  CHECK(code_of(move.receive(std::string(kMaxTicketBytes + 1, 'x'))) == Code::invalid_argument);
}

TEST_CASE("claims of a wrong form are refused though our placement key signed them") {
  const Move move;
  const auto verdict = [&](auto change) {
    TicketClaims claims = move.claims();
    claims.id = std::string(32, 'a');
    claims.placement_key = move.cloud.placement.public_key().digest();
    change(claims);
    return code_of(move.receive(forge(wire::encode(claims), move.cloud.dir.path() / "placement.key")));
  };
  CHECK(verdict([](TicketClaims&) {}) == Code::ok);
  CHECK(verdict([](TicketClaims& c) { c.id = "../../etc/passwd"; }) == Code::invalid_argument);
  CHECK(verdict([](TicketClaims& c) { c.id = std::string(32, 'A'); }) == Code::invalid_argument);
  CHECK(verdict([](TicketClaims& c) { c.id.clear(); }) == Code::invalid_argument);
  CHECK(verdict([](TicketClaims& c) { c.expires = c.not_before; }) == Code::invalid_argument);
  CHECK(verdict([](TicketClaims& c) { c.expires.value += kMaxTicketSeconds; }) == Code::invalid_argument);
  CHECK(verdict([](TicketClaims& c) { c.source = c.destination; }) == Code::invalid_argument);
  CHECK(verdict([](TicketClaims& c) { c.domain = Uuid(); }) == Code::invalid_argument);
  CHECK(verdict([](TicketClaims& c) { c.configuration_digest = "short"; }) == Code::invalid_argument);
  TicketClaims claims = move.claims();
  claims.id = std::string(32, 'a');
  claims.placement_key = move.cloud.placement.public_key().digest();
  // A claim of a later version might be a restriction: it is not skipped.
  const std::string later = wire::encode(claims) + std::string("\x78\x01", 2);
  CHECK(code_of(move.receive(forge(later, move.cloud.dir.path() / "placement.key"))) == Code::invalid_argument);
  CHECK(code_of(move.cloud.placement.sign(TicketClaims())) == Code::invalid_argument);
}

TEST_CASE("a spent ticket is refused, also after a restart") {
  const Move move;
  const TicketClaims claims = good(move.receive(move.ticket()));
  const fs::path state = move.destination.files().state_dir;
  good(good(SpentTickets::open(state)).spend(claims));
  CHECK(code_of(good(SpentTickets::open(state)).spend(claims)) == Code::denied);
  TicketClaims evil = claims;
  evil.id = "../../../../../../tmp/aaaaaaaaaaa";
  CHECK(code_of(good(SpentTickets::open(state)).spend(evil)) == Code::invalid_argument);
}

TEST_CASE("of many threads that spend one ticket, one succeeds") {
  const TempDir dir;
  TicketClaims claims;
  claims.id = good(new_ticket_id());
  std::atomic<int> spent = 0;
  std::atomic<int> denied = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&] {
        const auto tickets = SpentTickets::open(dir.path());
        const auto status = tickets ? tickets->spend(claims) : Status(std::unexpected(tickets.error()));
        if (status)
          ++spent;
        else if (status.error().code == Code::denied)
          ++denied;
      });
  }
  CHECK(spent == 1);
  CHECK(denied == 7);
}

TEST_CASE("of many processes that spend one ticket, one succeeds") {
  const TempDir dir;
  TicketClaims claims;
  claims.id = good(new_ticket_id());
  const auto tickets = good(SpentTickets::open(dir.path()));
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) ::_exit(tickets.spend(claims) ? 0 : 1);
    children.push_back(child);
  }
  int spent = 0;
  for (const pid_t child : children) {
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (status == 0) ++spent;
  }
  CHECK(spent == 1);
}

TEST_CASE("spent ids are forgotten a day after their ticket's end, no sooner") {
  const TempDir dir;
  const auto tickets = good(SpentTickets::open(dir.path()));
  TicketClaims claims;
  claims.id = good(new_ticket_id());
  claims.expires = UnixSeconds{1'000'000};
  good(tickets.spend(claims));
  CHECK(good(tickets.prune(UnixSeconds{1'000'000 + 86400})) == 0);
  CHECK(code_of(tickets.spend(claims)) == Code::denied);
  CHECK(good(tickets.prune(UnixSeconds{1'000'000 + 86401})) == 1);
  // A crash left an id without its time: its file's own age decides.
  spit(dir.path() / "spent" / claims.id, "");
  CHECK(code_of(tickets.spend(claims)) == Code::denied);
  CHECK(good(tickets.prune(system_now())) == 0);
  CHECK(good(tickets.prune(UnixSeconds{system_now().value + 3 * 86400})) == 1);
}

}  // namespace vmsec::test
