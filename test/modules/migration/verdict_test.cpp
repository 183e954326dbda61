// What is found out about a destination while its guest is on the way.
#include <catch2/catch.hpp>

#include "fake_host.hpp"

using namespace vmsec;
using namespace vmsec::migration;
using namespace vmsec::migration::test;

namespace {

// Half of the guest is sent, and then nothing moves until the migration is given up.
struct UnderWay : Pair {
  Result<MigrationStatus> begun;

  explicit UnderWay(std::vector<Setting> settings = {}) : Pair(std::move(settings)) {
    a.hypervisor.behaviour.hang_after = 100'000;
    begun = migrate();
    REQUIRE(begun);
    REQUIRE(eventually([&] { return status().state == MigrationState::transferring; }));
  }
  MigrationStatus status(Microseconds wait = {}) { return a.module()->status({begun->migration, wait}).value(); }
  void must_stay_here(Code code, const std::string& cause) {
    const MigrationStatus ended = status({60'000'000});
    INFO(ended.cause);
    CHECK(ended.state == MigrationState::failed);
    CHECK(ended.code == code);
    CHECK(ended.cause.find(cause) != std::string::npos);
    CHECK(runs_at_source());
    CHECK(eventually([&] { return b.hypervisor.state(kDomain) == DomainState::unknown; }));
    CHECK(eventually([&] { return b.undecided() == 0; }));
    CHECK(a.undecided() == 0);
    CHECK_FALSE(watch.violated());
    // And what was held to it is closed.
    CHECK_FALSE(network.seen_from("host-a", 1));
  }
};

void must_not_move(Pair& pair, Code code) {
  const MigrationStatus status = pair.run();
  INFO(status.cause);
  CHECK(status.state == MigrationState::failed);
  CHECK(status.code == code);
  CHECK(pair.runs_at_source());
  CHECK(eventually([&] { return pair.b.undecided() == 0; }));
  CHECK_FALSE(pair.watch.violated());
}

}  // namespace

TEST_CASE("a destination that becomes untrusted while the memory moves is given up at once") {
  UnderWay pair;
  const int asked = pair.a.attestations;
  pair.a.tell(Verdict::untrusted, "revoked by an operator: stolen");
  pair.must_stay_here(Code::untrusted, "not trusted any more: untrusted: revoked by an operator: stolen");
  CHECK(pair.a.attestations == asked);  // no renewal was needed to know
}

TEST_CASE("a destination whose evidence is stale is given up at once") {
  UnderWay pair;
  pair.a.tell(Verdict::stale, "the evidence took 31 s");
  pair.must_stay_here(Code::expired, "stale: the evidence took 31 s");
}

TEST_CASE("that it was untrusted in between counts, also when it is trusted again") {
  UnderWay pair;
  pair.a.tell(Verdict::untrusted, "PCR 4 differs");
  pair.a.tell(Verdict::trusted, "");
  pair.must_stay_here(Code::untrusted, "PCR 4 differs");
}

TEST_CASE("a destination that others cannot reach proves itself anew, and the migration goes on") {
  UnderWay pair;
  pair.a.tell(Verdict::untrusted, "PCR 4 differs", "host-c");  // another host's state is no matter
  const auto verdict = GENERATE(Verdict::unreachable, Verdict::unknown);
  pair.a.tell(verdict, "connection refused");
  REQUIRE(eventually([&] { return pair.a.attestations >= 2; }));
  CHECK(pair.status().state == MigrationState::transferring);
  pair.a.tell(Verdict::untrusted, "PCR 4 differs");
  pair.must_stay_here(Code::untrusted, "PCR 4 differs");
}

TEST_CASE("a destination that cannot be asked until its evidence is too old is given up") {
  UnderWay pair({text_setting("attestation_max_age", "200 ms")});
  {
    const std::lock_guard lock(pair.a.mutex);
    pair.a.verdict = Verdict::unreachable;
  }
  pair.must_stay_here(Code::unavailable, "unreachable");
}

TEST_CASE("what is found out between the proof and the switch-over refuses the switch-over") {
  Pair pair;
  SECTION("untrusted") {
    pair.b.at_ticket = [&](const std::string&) { pair.a.tell(Verdict::untrusted, "PCR 4 differs"); };
    must_not_move(pair, Code::untrusted);
  }
  SECTION("stale") {
    pair.b.at_ticket = [&](const std::string&) { pair.a.tell(Verdict::stale, "too late"); };
    must_not_move(pair, Code::expired);
  }
  SECTION("unreachable, and it does not answer here either") {
    pair.b.at_ticket = [&](const std::string&) {
      pair.a.tell(Verdict::unreachable, "connection refused");
      const std::lock_guard lock(pair.a.mutex);
      pair.a.verdict = Verdict::unreachable;
    };
    must_not_move(pair, Code::unavailable);
  }
  SECTION("nobody tells any more") {
    pair.b.at_ticket = [&](const std::string&) { pair.a.next_fails = Code::unavailable; };
    must_not_move(pair, Code::unavailable);
  }
  CHECK(eventually([&] { return pair.b.hypervisor.state(kDomain) == DomainState::unknown; }));
}

TEST_CASE("what others have found out before is no matter once the destination has proven itself") {
  Pair pair;
  pair.a.tell(Verdict::untrusted, "PCR 4 differs");
  CHECK(pair.run().state == MigrationState::completed);
}

TEST_CASE("a module that attests and tells of no changes is renewed as ever") {
  Pair pair;
  pair.a.next_fails = Code::unsupported;
  CHECK(pair.run().state == MigrationState::completed);
}

TEST_CASE("where changes were missed the destination proves itself anew") {
  UnderWay pair;
  pair.a.missed = 7;
  REQUIRE(eventually([&] { return pair.a.attestations >= 2; }));
  CHECK(pair.status().state == MigrationState::transferring);
  pair.a.tell(Verdict::untrusted, "PCR 4 differs");
  pair.must_stay_here(Code::untrusted, "PCR 4 differs");
}
