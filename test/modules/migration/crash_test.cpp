// Either end dies at every step that it takes; then resolving, from either end,
// leaves exactly one owner, and at no moment were there two.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "fake_host.hpp"

using namespace vmsec;
using namespace vmsec::migration;
using namespace vmsec::migration::test;

namespace {

enum class Victim { source, destination };
enum class Asked { source, destination };

struct Variant {
  Victim victim;
  When when;
  Asked asked;
  OnCut on_cut;
};

struct Run {
  bool crashed = false;
  std::string where;
};

void resolve(FakeHost& host) {
  if (const auto module = host.module()) std::ignore = module->resolve({});
}

// Kills the victim at its n-th step, restarts it and resolves.
Run crash_at(std::uint64_t step, const Variant& variant) {
  Pair pair;
  pair.a.hypervisor.behaviour.on_cut = variant.on_cut;
  FakeHost& victim = variant.victim == Victim::source ? pair.a : pair.b;
  victim.count_from_zero();
  victim.crash = Crash{step, variant.when};
  const auto begun = pair.migrate();
  if (begun) {
    // Whichever end is alive sees the end of it, or the victim dies.
    REQUIRE(eventually([&] {
      if (victim.died()) return true;
      const auto module = pair.a.module();
      if (!module) return true;
      const auto status = module->status({begun->migration, {100'000}});
      return status && status->state >= MigrationState::completed;
    }));
    // The destination's last steps may come after the source's; and a death takes its time.
    REQUIRE(eventually([&] { return victim.died() || (pair.runs_at_destination() && pair.b.undecided() == 0); }));
  }
  Run outcome{victim.died(), victim.death()};
  INFO("step " << step << ", " << outcome.where
               << ", asked: " << (variant.asked == Asked::source ? "source" : "destination")
               << ", on a cut the source: " << (variant.on_cut == OnCut::resume ? "resumes" : "stays paused"));
  if (!outcome.crashed) {
    CHECK(pair.runs_at_destination());
    return outcome;
  }
  // The other end notices, or has finished.
  FakeHost& survivor = variant.victim == Victim::source ? pair.b : pair.a;
  REQUIRE(eventually([&] {
    const auto list = survivor.module()->list({});
    for (const auto& status : list->migrations)
      if (status.state < MigrationState::completed) return false;
    return true;
  }));
  CHECK_FALSE(pair.watch.violated());
  victim.restart();
  REQUIRE(victim.module());
  CHECK_FALSE(pair.watch.violated());

  FakeHost& first = variant.asked == Asked::source ? pair.a : pair.b;
  FakeHost& second = variant.asked == Asked::source ? pair.b : pair.a;
  // The source, asked, brings it to its end. The destination, asked first, settles its own copy;
  // a source that stayed paused runs again when it is asked itself.
  resolve(first);
  const auto owners = [&] { return int{pair.runs_at_source()} + int{pair.runs_at_destination()}; };
  if (variant.asked == Asked::source)
    CHECK(owners() == 1);
  else
    CHECK(owners() <= 1);
  resolve(second);
  CHECK(pair.a.undecided() == 0);
  CHECK(pair.b.undecided() == 0);
  CHECK_FALSE(pair.watch.violated());
  CHECK(pair.runs_at_source() != pair.runs_at_destination());
  FakeHost& owner = pair.runs_at_source() ? pair.a : pair.b;
  FakeHost& other = pair.runs_at_source() ? pair.b : pair.a;
  CHECK(owner.hypervisor.memory(kDomain) == pair.memory);
  CHECK_FALSE(owner.hypervisor.held(kDomain));
  CHECK(other.hypervisor.state(kDomain) == DomainState::unknown);
  return outcome;
}

void crash_everywhere(const Variant& variant) {
  std::uint64_t step = 1;
  while (crash_at(step, variant).crashed) ++step;
  // A happy run has many more acts than this: a loop that ends early proves nothing.
  CHECK(step > 15);
}

}  // namespace

TEST_CASE("the source dies at any step, and resolving leaves one owner", "[crash]") {
  const auto when = GENERATE(When::before, When::after);
  const auto asked = GENERATE(Asked::source, Asked::destination);
  const auto on_cut = GENERATE(OnCut::resume, OnCut::stay_paused);
  crash_everywhere({Victim::source, when, asked, on_cut});
}

TEST_CASE("the destination dies at any step, and resolving leaves one owner", "[crash]") {
  const auto when = GENERATE(When::before, When::after);
  const auto asked = GENERATE(Asked::source, Asked::destination);
  const auto on_cut = GENERATE(OnCut::resume, OnCut::stay_paused);
  crash_everywhere({Victim::destination, when, asked, on_cut});
}

namespace {

// Leaves the guest loaded at the destination and gone at the source, COMMIT not written.
MigrationStatus stop_before_commit(Pair& pair) {
  pair.a.records_fail_at = "committed";
  const MigrationStatus status = pair.run();
  REQUIRE(status.state == MigrationState::in_doubt);
  pair.a.records_fail_at.clear();
  return status;
}

MigrationState state_at(FakeHost& host, const Uuid& migration) { return host.module()->status({migration, {}})->state; }

}  // namespace

TEST_CASE("a destination whose source is gone stays paused and says that it is in doubt") {
  Pair pair;
  const MigrationStatus status = stop_before_commit(pair);
  pair.a.die();
  REQUIRE(eventually([&] { return state_at(pair.b, status.migration) == MigrationState::in_doubt; }));
  const auto resolved = pair.b.module()->resolve({status.migration, {}});
  REQUIRE(resolved);
  CHECK(resolved->migrations.at(0).state == MigrationState::in_doubt);
  CHECK(resolved->migrations.at(0).code == Code::in_doubt);
  CHECK(pair.b.hypervisor.state(kDomain) == DomainState::paused);
  CHECK(pair.b.hypervisor.held(kDomain));
  CHECK(pair.b.audited("migration.resolve", Outcome::in_doubt));

  SECTION("until an operator gives his word that the source is off") {
    const auto other = pair.b.module()->resolve({status.migration, "host-c"});
    REQUIRE_FALSE(other);
    CHECK(other.error().code == Code::not_found);
    CHECK(pair.b.audited("migration.fenced", Outcome::refused));
    CHECK_FALSE(pair.b.audited("migration.fenced", Outcome::succeeded));
    const auto fenced = pair.b.module()->resolve({status.migration, "host-a"});
    CHECK(fenced->migrations.at(0).state == MigrationState::completed);
    CHECK(pair.b.audited("migration.fenced", Outcome::succeeded));
    CHECK(pair.runs_at_destination());
    // The source comes back, and learns what was decided without it.
    pair.a.restart();
    resolve(pair.a);
    CHECK(state_at(pair.a, status.migration) == MigrationState::completed);
    CHECK_FALSE(pair.watch.violated());
  }
  SECTION("or the source is back") {
    pair.a.restart();
    CHECK(pair.b.module()->resolve({status.migration, {}})->migrations.at(0).state == MigrationState::completed);
    CHECK(pair.runs_at_destination());
    CHECK(state_at(pair.a, status.migration) == MigrationState::completed);
  }
}

TEST_CASE("an operator's word about a host that answers is not believed") {
  Pair pair;
  const MigrationStatus status = stop_before_commit(pair);
  REQUIRE(eventually([&] { return state_at(pair.b, status.migration) == MigrationState::in_doubt; }));
  // Asked, the source itself decides: the guest is whole at the destination and gone here.
  const auto resolved = pair.b.module()->resolve({status.migration, "host-a"});
  CHECK(resolved->migrations.at(0).state == MigrationState::in_doubt);
  CHECK_FALSE(pair.runs_at_destination());
  CHECK(pair.b.audited("migration.fenced", Outcome::refused));
  CHECK_FALSE(pair.b.audited("migration.fenced", Outcome::succeeded));
}

TEST_CASE("a word about a host is not written down where there is nothing to resolve") {
  Pair pair;
  for (const char* host : {"host-b", "host-zz"}) {
    const auto resolved = pair.a.module()->resolve({{}, host});
    REQUIRE_FALSE(resolved);
    CHECK(resolved.error().code == Code::not_found);
    CHECK(resolved.error().message.find(host) != std::string::npos);
  }
  CHECK_FALSE(pair.a.audited("migration.fenced", Outcome::succeeded));
}

TEST_CASE("a source that has committed never runs the guest again, whatever an operator says") {
  Pair pair;
  pair.b.records_fail_at = "committed";
  const MigrationStatus status = pair.run();
  REQUIRE(status.state == MigrationState::in_doubt);
  pair.b.die();
  const auto fenced = pair.a.module()->resolve({status.migration, "host-b"});
  REQUIRE(fenced);
  CHECK(fenced->migrations.at(0).state == MigrationState::lost);
  CHECK(pair.a.hypervisor.state(kDomain) == DomainState::unknown);
  // It was not off: its copy is whole still, and no other was started anew.
  pair.b.records_fail_at.clear();
  pair.b.restart();
  REQUIRE(pair.a.module()->resolve({status.migration, {}}));
  CHECK(pair.runs_at_destination());
}

TEST_CASE("a hypervisor's `failed` does not cost the destination's copy where nothing of the guest is at the source") {
  Pair pair;
  pair.a.hypervisor.behaviour.guest_dies_at_the_end = true;
  const MigrationStatus status = pair.run();
  CHECK(status.state == MigrationState::in_doubt);
  REQUIRE(eventually([&] { return state_at(pair.b, status.migration) >= MigrationState::completed; }));
  CHECK(pair.b.hypervisor.state(kDomain) == DomainState::paused);
  resolve(pair.a);
  CHECK(pair.runs_at_destination());
  CHECK(pair.a.undecided() == 0);
  CHECK_FALSE(pair.watch.violated());
}

TEST_CASE("a copy that a dying hypervisor leaves at the source is gone before the source is done") {
  Pair pair;
  pair.a.hypervisor.behaviour.leaves_copy = true;
  SECTION("at once") { CHECK(pair.run().state == MigrationState::completed); }
  SECTION("when it is resolved") {
    pair.b.records_fail_at = "committed";
    CHECK(pair.run().state == MigrationState::in_doubt);
    CHECK(pair.a.hypervisor.state(kDomain) == DomainState::paused);
    pair.b.records_fail_at.clear();
    pair.a.die();
    pair.a.restart();
    resolve(pair.a);
  }
  CHECK(pair.a.hypervisor.state(kDomain) == DomainState::unknown);
  CHECK(pair.a.undecided() == 0);
  CHECK(pair.runs_at_destination());
  CHECK_FALSE(pair.watch.violated());
}

TEST_CASE("a guest that neither end has any more is called lost") {
  Pair pair;
  const MigrationStatus status = stop_before_commit(pair);
  pair.b.die();
  pair.b.hypervisor.lose_guests();
  pair.b.restart();
  const auto resolved = pair.a.module()->resolve({});
  REQUIRE(resolved);
  CHECK(resolved->migrations.at(0).state == MigrationState::lost);
  CHECK(resolved->migrations.at(0).code == Code::internal);
  CHECK(resolved->migrations.at(0).cause.find("LOST") == 0);
  CHECK(pair.a.audited("migration.lost", Outcome::failed));
  CHECK_FALSE(pair.a.hypervisor.held(kDomain));
}

TEST_CASE("a source that cannot reach the destination goes on without it, and the destination never runs") {
  Pair pair;
  pair.a.hypervisor.behaviour.on_cut = OnCut::stay_paused;
  // Dies right after the destination has said that the manifest is right.
  pair.a.hypervisor.behaviour.hang_after = 1000;
  const auto begun = pair.migrate();
  REQUIRE(begun);
  REQUIRE(eventually([&] { return pair.network.streams == 4; }));
  pair.a.die();
  pair.b.die();
  pair.a.restart();
  const auto resolved = pair.a.module()->resolve({});
  REQUIRE(resolved);
  CHECK(resolved->migrations.at(0).state == MigrationState::failed);
  CHECK(pair.runs_at_source());
  pair.b.restart();
  resolve(pair.b);
  resolve(pair.a);
  CHECK(pair.a.undecided() == 0);
  CHECK(pair.b.undecided() == 0);
  CHECK(pair.runs_at_source());
  CHECK_FALSE(pair.watch.violated());
}

// The source's agent dies after its record says `gated`; its guest goes on, or stays paused.
// The destination holds a whole copy.
Uuid die_between_the_gates(Pair& pair, OnCut on_cut) {
  pair.a.hypervisor.behaviour.on_cut = on_cut;
  const MigrationStatus status = stop_before_commit(pair);
  pair.a.die();
  // What libvirt does when the agent's sockets end before Finish is answered.
  pair.a.hypervisor.define(kDomain, pair.memory);
  if (on_cut == OnCut::stay_paused) pair.a.hypervisor.pause(kDomain);
  REQUIRE(eventually([&] { return state_at(pair.b, status.migration) == MigrationState::in_doubt; }));
  return status.migration;
}

TEST_CASE("a guest that went on while the agent was away stays, also when it powers off before anybody resolves") {
  Pair pair;
  const Uuid migration = die_between_the_gates(pair, OnCut::resume);
  pair.a.restart();
  // Decided at the start, without the destination: ABORT is on the disk.
  CHECK(state_at(pair.a, migration) == MigrationState::failed);
  CHECK_FALSE(pair.a.hypervisor.held(kDomain));
  pair.a.hypervisor.power_off(kDomain);
  const auto resolved = pair.a.module()->resolve({});
  REQUIRE(resolved);
  CHECK(pair.a.hypervisor.state(kDomain) == DomainState::shut_off);
  // The old copy never runs over the newer disks.
  CHECK(pair.b.hypervisor.state(kDomain) == DomainState::unknown);
  CHECK(pair.a.undecided() == 0);
  CHECK(pair.b.undecided() == 0);
}

TEST_CASE("a guest that stayed paused is kept at the start, but not started") {
  Pair pair;
  const Uuid migration = die_between_the_gates(pair, OnCut::stay_paused);
  pair.a.restart();
  CHECK(pair.a.audited("migration.abort", Outcome::failed));
  CHECK(pair.a.hypervisor.state(kDomain) == DomainState::paused);
  CHECK(pair.a.hypervisor.held(kDomain));
  CHECK(state_at(pair.a, migration) == MigrationState::in_doubt);
  // The destination, asked first, learns of it.
  resolve(pair.b);
  CHECK(pair.b.hypervisor.state(kDomain) == DomainState::unknown);
  resolve(pair.a);
  CHECK(pair.runs_at_source());
}

TEST_CASE("a COMMIT that comes while a destination withholds its guest has the last word") {
  Pair pair;
  std::atomic<bool> armed = false, answered = false, taken = false;
  std::jthread commit;
  pair.b.hypervisor.at_hold = [&] {
    if (!armed.exchange(false)) return;
    commit = std::jthread([&] {
      const auto module = pair.b.module();
      const PeerContext source{"host-a", "host-b", "certificate of host-a", "c", 78, {}};
      const std::string request =
          wire::encode(DecisionRequest{module->list({})->migrations.at(0).migration, kDomain, {}});
      taken = module->incoming_call({source, static_cast<std::uint32_t>(Call::commit), request}).has_value();
      answered = true;
    });
    // Time enough for one that does not wait for the hold.
    for (int i = 0; i < 50 && !answered; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  };
  int before = 0;
  SECTION("because its source is gone") {
    armed = true;
    stop_before_commit(pair);
    pair.a.die();
  }
  SECTION("because its agent starts") {
    stop_before_commit(pair);
    pair.b.die();
    pair.b.hypervisor.silent = true;  // so that the hold is tried again while the module answers
    pair.b.restart();
    before = pair.b.hypervisor.holds;
    armed = true;
    pair.b.hypervisor.silent = false;
  }
  REQUIRE(eventually([&] { return answered && pair.b.hypervisor.holds > before; }));
  commit.join();
  CHECK(taken);
  CHECK_FALSE(pair.b.hypervisor.held(kDomain));
  CHECK(pair.runs_at_destination());
}

TEST_CASE("a hypervisor that does not answer at the start is asked again until it does") {
  Pair pair;
  const Uuid migration = die_between_the_gates(pair, OnCut::resume);
  pair.a.hypervisor.silent = true;
  pair.a.restart();
  CHECK(state_at(pair.a, migration) == MigrationState::in_doubt);
  pair.a.hypervisor.silent = false;
  CHECK(eventually([&] { return state_at(pair.a, migration) == MigrationState::failed; }));
}

TEST_CASE("a guest that went on and powered off while the agent was away is in doubt: the old copy is not run") {
  Pair pair;
  die_between_the_gates(pair, OnCut::resume);
  pair.a.hypervisor.power_off(kDomain);
  pair.a.restart();
  const auto resolved = pair.a.module()->resolve({});
  REQUIRE(resolved);
  CHECK(resolved->migrations.at(0).state == MigrationState::in_doubt);
  CHECK(pair.b.hypervisor.state(kDomain) == DomainState::paused);
  CHECK(pair.a.hypervisor.state(kDomain) == DomainState::shut_off);
  resolve(pair.b);
  CHECK(pair.b.hypervisor.state(kDomain) == DomainState::paused);
  SECTION("until it is started here") {
    pair.a.hypervisor.define(kDomain, pair.memory);
    resolve(pair.a);
    CHECK(pair.runs_at_source());
    CHECK(pair.b.hypervisor.state(kDomain) == DomainState::unknown);
  }
  SECTION("or undefined here") {
    pair.a.hypervisor.lose_guests();
    resolve(pair.a);
    CHECK(pair.runs_at_destination());
  }
  CHECK_FALSE(pair.watch.violated());
}

// What host-b's agent could send to host-a, whatever is true.
Result<PeerReply> claim_to_run(Pair& pair, const Uuid& migration, Phase phase) {
  const PeerContext destination{"host-b", "host-a", "certificate of host-b", "c", 79, {}};
  const EndView claim{phase, false, true, {true, DomainState::running, false}};
  return pair.a.module()->incoming_call({destination, static_cast<std::uint32_t>(Call::resolve),
                                         wire::encode(ResolveRequest{migration, kDomain, claim})});
}

TEST_CASE("a destination that claims to have committed does not get a guest that was never gated") {
  Pair pair;
  pair.a.hypervisor.behaviour.hang_after = 1000;
  const auto begun = pair.migrate();
  REQUIRE(begun);
  REQUIRE(eventually([&] { return pair.network.streams == 4; }));
  pair.a.die();
  pair.a.hypervisor.power_off(kDomain);
  pair.a.restart();
  for (const Phase phase : {Phase::destination_committed, Phase::active}) {
    const auto answer = claim_to_run(pair, begun->migration, phase);
    REQUIRE(answer);
    CHECK(wire::decode<EndView>(answer->payload)->phase == Phase::started);
    CHECK(pair.a.hypervisor.state(kDomain) == DomainState::shut_off);
  }
  CHECK_FALSE(pair.a.audited("migration.commit", Outcome::succeeded));
  REQUIRE(pair.a.module()->resolve({}));
  CHECK(state_at(pair.a, begun->migration) == MigrationState::failed);
  CHECK(pair.a.hypervisor.state(kDomain) == DomainState::shut_off);
}

TEST_CASE("a destination's own word ends nothing at its source: an operator there does") {
  Pair pair;
  const MigrationStatus status = stop_before_commit(pair);
  const auto answer = claim_to_run(pair, status.migration, Phase::active);
  REQUIRE(answer);
  CHECK(wire::decode<EndView>(answer->payload)->phase == Phase::source_gated);
  CHECK(state_at(pair.a, status.migration) == MigrationState::in_doubt);
}

TEST_CASE("the destination is told of an ABORT before the guest goes on: what it holds may be in the way") {
  Pair pair;
  die_between_the_gates(pair, OnCut::stay_paused);
  pair.a.hypervisor.reclaim_blocked = [&] { return pair.b.hypervisor.state(kDomain) != DomainState::unknown; };
  pair.a.restart();
  SECTION("one resolve at the source is enough") {
    resolve(pair.a);
    CHECK(pair.runs_at_source());
    CHECK(pair.b.hypervisor.state(kDomain) == DomainState::unknown);
    CHECK(pair.a.undecided() == 0);
  }
  SECTION("a destination that cannot be told keeps nothing from the guest") {
    pair.a.hypervisor.reclaim_blocked = nullptr;
    pair.network.unreachable.insert("host-b");
    resolve(pair.a);
    CHECK(pair.a.hypervisor.state(kDomain) == DomainState::running);
    CHECK(pair.b.hypervisor.state(kDomain) == DomainState::paused);
  }
  CHECK_FALSE(pair.watch.violated());
}

TEST_CASE("a third host learns nothing of a migration, and decides nothing") {
  Pair pair;
  const MigrationStatus status = stop_before_commit(pair);
  const PeerContext stranger{"host-c", "host-b", "certificate of host-c", "c", 77, {}};
  const std::string request = wire::encode(DecisionRequest{status.migration, kDomain, "please"});
  const auto commit = pair.b.module()->incoming_call({stranger, static_cast<std::uint32_t>(Call::commit), request});
  REQUIRE_FALSE(commit);
  CHECK(commit.error().code == Code::not_found);
  const auto abort = pair.b.module()->incoming_call({stranger, static_cast<std::uint32_t>(Call::abort), request});
  CHECK(abort);
  CHECK(pair.b.hypervisor.state(kDomain) == DomainState::paused);
  const auto query = pair.b.module()->incoming_call({stranger, static_cast<std::uint32_t>(Call::query), request});
  REQUIRE(query);
  CHECK(wire::decode<EndView>(query->payload)->phase == Phase::none);
  // Nor whether a domain is here at all, of which it knows the id.
  const Uuid there = *random_uuid();
  pair.a.hypervisor.define(there, "one more");
  for (const Uuid& domain : {kDomain, there}) {
    const auto view = pair.a.module()->incoming_call(
        {{"host-c", "host-a", "certificate of host-c", "c", 80, {}},
         static_cast<std::uint32_t>(Call::resolve),
         wire::encode(ResolveRequest{status.migration, domain, {Phase::loaded, false, true, {}}})});
    REQUIRE(view);
    CHECK(view->payload == wire::encode(EndView{}));
  }
}

TEST_CASE("a COMMIT or an ABORT may come twice") {
  Pair pair;
  const MigrationStatus status = pair.run();
  REQUIRE(status.state == MigrationState::completed);
  const PeerContext source{"host-a", "host-b", "certificate of host-a", "c", 78, {}};
  const std::string request = wire::encode(DecisionRequest{status.migration, kDomain, "late"});
  CHECK(pair.b.module()->incoming_call({source, static_cast<std::uint32_t>(Call::commit), request}));
  // But never the one after the other.
  const auto abort = pair.b.module()->incoming_call({source, static_cast<std::uint32_t>(Call::abort), request});
  REQUIRE_FALSE(abort);
  CHECK(abort.error().code == Code::wrong_state);
  CHECK(pair.runs_at_destination());
}
