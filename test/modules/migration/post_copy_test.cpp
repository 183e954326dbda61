// A guest that runs at its destination before it is whole there.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "fake_host.hpp"

using namespace vmsec;
using namespace vmsec::migration;
using namespace vmsec::migration::test;

namespace {

const std::vector<Setting> kAccepted{text_setting("post_copy", "accept-loss"), text_setting("switch_timeout", "2 s")};

MigrateRequest request() {
  MigrateRequest request;
  request.domain = kDomain;
  request.destination = "host-b";
  request.ticket = "ticket";
  request.options.post_copy = true;
  return request;
}

MigrationStatus run(Pair& pair) {
  const auto begun = pair.a.module()->migrate(request());
  INFO((begun ? "" : begun.error().message));
  REQUIRE(begun);
  const auto status = pair.a.module()->status({begun->migration, {60'000'000}});
  REQUIRE(status);
  return *status;
}

MigrationState state_at(FakeHost& host, const MigrationStatus& status) {
  return host.module()->status({status.migration, {}})->state;
}

MigrationStatus recover(Pair& pair, const MigrationStatus& broken) {
  const auto begun = pair.a.module()->recover({broken.migration, {}});
  INFO((begun ? "" : begun.error().message));
  REQUIRE(begun);
  return *pair.a.module()->status({broken.migration, {60'000'000}});
}

void resolve(FakeHost& host) {
  if (const auto module = host.module()) std::ignore = module->resolve({});
}

}  // namespace

TEST_CASE("a guest runs at the destination while its memory follows, and only there") {
  Pair pair(kAccepted, kAccepted);
  pair.a.hypervisor.behaviour.converges = GENERATE(Converges::never, Converges::before, Converges::when_asked);
  const MigrationStatus status = run(pair);
  INFO(static_cast<int>(pair.a.hypervisor.behaviour.converges) << ": " << status.cause);
  REQUIRE(status.state == MigrationState::completed);
  CHECK(pair.runs_at_destination());
  CHECK(eventually([&] { return pair.b.undecided() == 0; }));
  CHECK(pair.b.hypervisor.memory(kDomain) == pair.memory);
  CHECK_FALSE(pair.b.hypervisor.held(kDomain));
  CHECK(status.streams == 2);
  CHECK(status.downtime.value > 0);
  CHECK(status.guest_bytes.value == pair.memory.size() + 12);
  CHECK_FALSE(pair.watch.violated());
}

TEST_CASE("post-copy needs both operators' word") {
  SECTION("the source's") {
    Pair pair;
    const auto begun = pair.a.module()->migrate(request());
    REQUIRE_FALSE(begun);
    CHECK(begun.error().code == Code::denied);
    CHECK(begun.error().message.find("accept-loss") != std::string::npos);
  }
  SECTION("the destination's") {
    Pair pair(kAccepted);
    const MigrationStatus status = run(pair);
    CHECK(status.state == MigrationState::failed);
    CHECK(status.code == Code::denied);
    CHECK(pair.a.hypervisor.guest_bytes_written() == 0);
    CHECK(pair.runs_at_source());
  }
}

TEST_CASE("post-copy has one stream for the memory, and takes no disks along") {
  Pair pair(kAccepted, kAccepted);
  MigrateRequest wish = request();
  const bool disks = GENERATE(true, false);
  if (disks)
    wish.options.copy_disks = true;
  else
    wish.options.bulk_channels = 2;
  const auto begun = pair.a.module()->migrate(wish);
  REQUIRE_FALSE(begun);
  CHECK(begun.error().code == Code::invalid_argument);
}

TEST_CASE("a destination that cannot write COMMIT down loads nothing") {
  Pair pair(kAccepted, kAccepted);
  pair.b.records_fail_at = "committed";
  const MigrationStatus status = run(pair);
  CHECK(status.state == MigrationState::in_doubt);
  CHECK_FALSE(pair.runs_at_source());
  CHECK_FALSE(pair.runs_at_destination());
  pair.b.records_fail_at.clear();
  // It has given up, and the source hears that: nobody has it whole any more.
  CHECK(eventually([&] { return pair.b.undecided() == 0; }));
  resolve(pair.a);
  CHECK(pair.a.undecided() == 0);
  CHECK(pair.b.undecided() == 0);
  CHECK_FALSE(pair.watch.violated());
}

TEST_CASE("a destination whose hypervisor cannot load what is to run is not in doubt: it is lost") {
  Pair pair(kAccepted, kAccepted);
  pair.b.hypervisor.behaviour.fail_load = true;
  CHECK(run(pair).state == MigrationState::in_doubt);
  CHECK(eventually([&] { return pair.b.undecided() == 0; }));
  resolve(pair.a);
  CHECK(pair.a.undecided() == 0);
  CHECK_FALSE(pair.runs_at_source());
  CHECK_FALSE(pair.runs_at_destination());
}

TEST_CASE("a post-copy whose memory does not follow is in doubt at both ends, and never runs twice") {
  Pair pair(kAccepted, kAccepted);
  pair.a.hypervisor.behaviour.memory_is_cut = true;
  const MigrationStatus status = run(pair);
  CHECK(status.state == MigrationState::in_doubt);
  CHECK_FALSE(pair.runs_at_source());
  CHECK(eventually([&] { return state_at(pair.b, status) == MigrationState::in_doubt; }));
  CHECK(pair.a.hypervisor.held(kDomain));
  CHECK(pair.b.hypervisor.held(kDomain));

  SECTION("until it is resolved at both") {
    resolve(pair.b);
    CHECK(state_at(pair.a, status) == MigrationState::in_doubt);
    resolve(pair.a);
    CHECK(state_at(pair.b, status) == MigrationState::lost);
    CHECK_FALSE(pair.b.hypervisor.held(kDomain));
    CHECK(pair.b.hypervisor.state(kDomain) == DomainState::shut_off);
  }
  SECTION("also where it was started anew at the destination before") {
    resolve(pair.b);
    pair.b.hypervisor.define(kDomain, pair.memory);
    resolve(pair.a);
    CHECK(state_at(pair.b, status) == MigrationState::lost);
    // It went there after all, and nothing is left here that could be a second one.
    CHECK(state_at(pair.a, status) == MigrationState::completed);
    CHECK(pair.a.hypervisor.state(kDomain) == DomainState::unknown);
    CHECK(pair.runs_at_destination());
    return;
  }
  SECTION("until an operator says that the destination is off") {
    pair.b.die();
    resolve(pair.a);
    CHECK(state_at(pair.a, status) == MigrationState::in_doubt);
    // With its id alone: such a guest may long run elsewhere.
    REQUIRE(pair.a.module()->resolve({{}, "host-b"}));
    CHECK(state_at(pair.a, status) == MigrationState::in_doubt);
    REQUIRE(pair.a.module()->resolve({status.migration, "host-b"}));
    CHECK(pair.a.audited("migration.fenced", Outcome::succeeded));
  }
  CHECK(state_at(pair.a, status) == MigrationState::lost);
  CHECK(pair.a.audited("migration.lost", Outcome::failed));
  // Its owner may start it anew.
  CHECK_FALSE(pair.a.hypervisor.held(kDomain));
  CHECK(pair.a.hypervisor.state(kDomain) == DomainState::shut_off);
  CHECK_FALSE(pair.runs_at_source());
  CHECK_FALSE(pair.watch.violated());
}

TEST_CASE("a post-copy that broke is taken up: the guest is whole at its destination, and nowhere else") {
  Pair pair(kAccepted, kAccepted);
  pair.b.hypervisor.behaviour.runs_on = GENERATE(true, false);
  pair.a.hypervisor.behaviour.memory_is_cut = true;
  const MigrationStatus broken = run(pair);
  REQUIRE(broken.state == MigrationState::in_doubt);
  const bool there = eventually([&] { return state_at(pair.b, broken) == MigrationState::in_doubt; });
  INFO(to_string(state_at(pair.b, broken)) << ": " << pair.b.module()->status({broken.migration, {}})->cause);
  REQUIRE(there);

  SECTION("at once") {}
  SECTION("after it was tried in vain") {
    CHECK(recover(pair, broken).state == MigrationState::in_doubt);
    CHECK(eventually([&] { return state_at(pair.b, broken) == MigrationState::in_doubt; }));
    CHECK(pair.a.hypervisor.held(kDomain));
    CHECK(pair.b.hypervisor.held(kDomain));
  }
  SECTION("after it was resolved in vain at its source") {
    resolve(pair.a);
    CHECK(state_at(pair.a, broken) == MigrationState::in_doubt);
    if (!pair.b.hypervisor.behaviour.runs_on) return;  // what cannot run any more is lost by that
  }
  SECTION("after both agents have died") {
    for (FakeHost* host : {&pair.a, &pair.b}) {
      host->die();
      host->restart();
    }
  }
  pair.a.hypervisor.behaviour.memory_is_cut = false;
  const MigrationStatus status = recover(pair, broken);
  INFO(status.cause);
  CHECK(status.state == MigrationState::completed);
  CHECK(status.migration == broken.migration);
  CHECK(pair.runs_at_destination());
  CHECK(eventually([&] { return pair.b.undecided() == 0; }));
  CHECK(pair.a.undecided() == 0);
  CHECK(pair.b.hypervisor.memory(kDomain) == pair.memory);
  CHECK_FALSE(pair.b.hypervisor.held(kDomain));
  CHECK(pair.a.hypervisor.state(kDomain) == DomainState::unknown);
  CHECK(pair.b.audited("migration.recover", Outcome::succeeded));
  CHECK_FALSE(pair.watch.violated());
  const auto again = pair.a.module()->recover({status.migration, {}});
  REQUIRE_FALSE(again);
  CHECK(again.error().code == Code::wrong_state);
}

TEST_CASE("only what has broken behind COMMIT is taken up, from its source") {
  Pair pair(kAccepted, kAccepted);
  const auto refused = [&](FakeHost& host, const Uuid& migration) {
    const auto begun = host.module()->recover({migration, {}});
    REQUIRE_FALSE(begun);
    return begun.error();
  };
  SECTION("not one that is unknown") { CHECK(refused(pair.a, *random_uuid()).code == Code::not_found); }
  SECTION("not one that has ended well") {
    const MigrationStatus done = run(pair);
    REQUIRE(done.state == MigrationState::completed);
    CHECK(refused(pair.a, done.migration).code == Code::wrong_state);
  }
  SECTION("not by a migration's request") {
    MigrateRequest wish = request();
    wish.options.recover = true;
    const auto begun = pair.a.module()->migrate(wish);
    REQUIRE_FALSE(begun);
    CHECK(begun.error().code == Code::invalid_argument);
  }
  SECTION("not at its destination, and not once it is lost") {
    pair.a.hypervisor.behaviour.memory_is_cut = true;
    const MigrationStatus broken = run(pair);
    REQUIRE(eventually([&] { return state_at(pair.b, broken) == MigrationState::in_doubt; }));
    CHECK(refused(pair.b, broken.migration).message.find("host-a") != std::string::npos);
    resolve(pair.b);
    // The destination's record says so; here nothing was lost before it was asked.
    const MigrationStatus again = recover(pair, broken);
    CHECK(again.state == MigrationState::in_doubt);
    CHECK(again.cause.find("lost") != std::string::npos);
    resolve(pair.a);
    CHECK(refused(pair.a, broken.migration).code == Code::wrong_state);
  }
}

TEST_CASE("a destination takes up only what it has of this very source, and which has broken") {
  Pair pair(kAccepted, kAccepted);
  pair.a.hypervisor.behaviour.memory_is_cut = true;
  const MigrationStatus broken = run(pair);
  REQUIRE(eventually([&] { return state_at(pair.b, broken) == MigrationState::in_doubt; }));
  PeerContext from{"host-a", "host-b", "certificate of host-a", "c", 81, {}};
  PrepareRequest wish{kProtocolVersion, broken.migration, {}, *pair.a.hypervisor.describe({kDomain})};
  wish.options.post_copy = wish.options.recover = true;
  wish.cipher = Cipher::aes_128_gcm;
  wish.encryption = EncryptionPolicy::required;
  wish.secret = std::string(32, 's');
  wish.suite = StreamSuite::bulk;
  Code expected = Code::not_found;
  SECTION("not of another host") { from.peer = "host-c"; }
  SECTION("not of another migration") { wish.migration = *random_uuid(); }
  SECTION("not another domain") { wish.description.domain = *random_uuid(); }
  SECTION("not without post-copy") {
    wish.options.post_copy = false;
    expected = Code::invalid_argument;
  }
  SECTION("not unencrypted, and not with another cipher than it began with") {
    wish.cipher = GENERATE(Cipher::none, Cipher::aes_256_gcm);
    expected = Code::denied;
  }
  SECTION("not once it is lost") {
    resolve(pair.b);
    expected = Code::wrong_state;
  }
  SECTION("not what is not broken") {
    pair.b.hypervisor.power_off(kDomain);
    expected = Code::wrong_state;
  }
  const auto reply =
      pair.b.module()->incoming_call({from, static_cast<std::uint32_t>(Call::prepare), wire::encode(wish)});
  REQUIRE_FALSE(reply);
  INFO(reply.error().message);
  CHECK(reply.error().code == expected);
  CHECK_FALSE(pair.runs_at_destination());
  CHECK_FALSE(pair.watch.violated());
}

TEST_CASE("a destination that is not proven any more takes nothing up") {
  Pair pair(kAccepted, kAccepted);
  pair.a.hypervisor.behaviour.memory_is_cut = true;
  const MigrationStatus broken = run(pair);
  REQUIRE(eventually([&] { return state_at(pair.b, broken) == MigrationState::in_doubt; }));
  pair.a.hypervisor.behaviour.memory_is_cut = false;
  pair.a.verdict = Verdict::untrusted;
  CHECK(recover(pair, broken).state == MigrationState::in_doubt);
  CHECK(pair.b.hypervisor.state(kDomain) == DomainState::crashed);
  CHECK_FALSE(pair.watch.violated());
}

TEST_CASE("a destination that is not proven gets no guest by post-copy either") {
  Pair pair(kAccepted, kAccepted);
  SECTION("before anything is sent") { pair.a.verdict = Verdict::untrusted; }
  SECTION("revoked before its begin") { pair.a.peer_revoked = true; }
  const MigrationStatus status = run(pair);
  CHECK(status.state == MigrationState::failed);
  CHECK(pair.runs_at_source());
}

// Where it may be lost it is; but at no moment do two run it, and what runs is whole.
TEST_CASE("either end of a post-copy dies at each of its steps: never do both run it") {
  const bool source = GENERATE(true, false);
  const When when = GENERATE(When::before, When::after);
  const Converges converges = GENERATE(Converges::never, Converges::before, Converges::when_asked);
  std::uint64_t step = 1;
  for (bool crashed = true; crashed && step < 200; ++step) {
    Pair pair(kAccepted, kAccepted);
    pair.a.hypervisor.behaviour.converges = converges;
    FakeHost& victim = source ? pair.a : pair.b;
    victim.count_from_zero();
    victim.crash = Crash{step, when};
    const auto begun = pair.a.module()->migrate(request());
    if (begun)
      REQUIRE(eventually([&] {
        const auto module = pair.a.module();
        if (victim.died() || !module) return true;
        const auto status = module->status({begun->migration, {100'000}});
        return status && status->state >= MigrationState::completed && status->state != MigrationState::following;
      }));
    REQUIRE(eventually([&] { return victim.died() || (pair.runs_at_destination() && pair.b.undecided() == 0); }));
    crashed = victim.died();
    if (!crashed) break;
    INFO("step " << step << ", " << victim.death());
    victim.restart();
    for (int round = 0; round < 2; ++round) {
      resolve(pair.a);
      resolve(pair.b);
    }
    CHECK_FALSE(pair.watch.violated());
    CHECK_FALSE((pair.runs_at_source() && pair.runs_at_destination()));
    if (pair.runs_at_source()) CHECK(pair.a.hypervisor.memory(kDomain) == pair.memory);
    if (pair.runs_at_destination() && pair.b.undecided() == 0) CHECK(pair.b.hypervisor.memory(kDomain) == pair.memory);
  }
  CHECK(step > 10);
}
