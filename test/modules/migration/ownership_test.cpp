// Every combination of what two ends can know: no decision may let both run.
#include "ownership.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <vector>

using namespace vmsec;
using namespace vmsec::migration;

namespace {

constexpr Phase kSourcePhases[] = {
    Phase::none,           Phase::started,          Phase::source_gated,  Phase::source_committed, Phase::source_done,
    Phase::source_aborted, Phase::source_reclaimed, Phase::source_failed, Phase::source_lost};
constexpr Phase kDestinationPhases[] = {Phase::none,
                                        Phase::prepared,
                                        Phase::destination_gated,
                                        Phase::loaded,
                                        Phase::destination_committed,
                                        Phase::active,
                                        Phase::destination_aborted,
                                        Phase::discarded,
                                        Phase::destination_lost};

std::vector<EndView> views(Phase phase) {
  std::vector<EndView> out;
  for (const bool live : {false, true}) {
    out.push_back({phase, live, false, {}});
    out.push_back({phase, live, true, {false, DomainState::unknown, false}});
    out.push_back({phase, live, true, {false, DomainState::unknown, true}});
    for (const auto state :
         {DomainState::unknown, DomainState::running, DomainState::paused, DomainState::shut_off, DomainState::crashed})
      for (const bool migrating : {false, true}) out.push_back({phase, live, true, {true, state, migrating}});
  }
  return out;
}

template <std::size_t kCount>
std::vector<EndView> all_views(const Phase (&phases)[kCount]) {
  std::vector<EndView> out;
  for (const Phase phase : phases)
    for (const EndView& view : views(phase)) out.push_back(view);
  return out;
}

bool keeps(Action action) { return action == Action::abort || action == Action::reclaim; }
bool gives_away(Action action) {
  return action == Action::commit || action == Action::tell_commit || action == Action::complete;
}
bool runs(Action action) { return action == Action::commit || action == Action::activate; }
bool committed(Phase phase) { return phase == Phase::destination_committed || phase == Phase::active; }

// Every phase that can follow, in any number of steps.
std::set<Phase> reachable(Phase from) {
  std::set<Phase> out;
  std::vector<Phase> next{from};
  while (!next.empty()) {
    const Phase at = next.back();
    next.pop_back();
    for (std::uint32_t number = 0; number < 40; ++number) {
      const auto to = static_cast<Phase>(number);
      if (may_follow(at, to) && out.insert(to).second) next.push_back(to);
    }
  }
  return out;
}

void check_source(const EndView& own, const std::optional<EndView>& peer, PeerHost host) {
  const Action action = decide_source(own, peer, host).action;
  const Copy copy = copy_of(own);
  if (own.live) REQUIRE((action == Action::wait || action == Action::nothing));
  if (own.phase == Phase::source_committed || own.phase == Phase::source_done) REQUIRE_FALSE(keeps(action));
  if (keeps(action) && peer) REQUIRE_FALSE(committed(peer->phase));
  if (action == Action::abort) REQUIRE((own.phase == Phase::started || own.phase == Phase::source_gated));
  if (action == Action::abort) REQUIRE((copy != Copy::busy && copy != Copy::unknown));
  if (action == Action::commit) {
    REQUIRE(copy == Copy::none);
    REQUIRE((own.phase == Phase::source_gated || own.phase == Phase::source_lost));
    REQUIRE(peer);
    REQUIRE((peer->phase == Phase::destination_gated || peer->phase == Phase::loaded));
    REQUIRE(copy_of(*peer) == Copy::stopped);
    REQUIRE_FALSE(peer->live);
  }
  if (action == Action::complete) {
    REQUIRE(peer);
    const bool anew = peer->phase == Phase::destination_lost && own.phase == Phase::source_committed;
    REQUIRE((committed(peer->phase) || anew));
    REQUIRE(copy != Copy::running);
    // The destination's word alone destroys nothing, and never counts before our own gate.
    if (own.phase != Phase::source_committed) {
      REQUIRE(copy == Copy::none);
      REQUIRE(own.phase != Phase::started);
      REQUIRE(decide_source_for_peer(own, *peer).action == Action::in_doubt);
    }
  }
  // Without the other end nothing is given away, and nothing is called lost but on an operator's word.
  if (!peer) REQUIRE_FALSE(gives_away(action));
  if (!peer && host == PeerHost::standing) REQUIRE(action != Action::lost);
  // Nor on the destination's word alone: somebody here has to ask.
  if (peer) REQUIRE(decide_source_for_peer(own, *peer).action != Action::lost);
  // What is broken here can go on nowhere.
  if (action == Action::lost)
    REQUIRE((copy == Copy::none || copy == Copy::broken || own.phase == Phase::source_committed));
}

void check_destination(const EndView& own, const std::optional<EndView>& peer, PeerHost host) {
  const Action action = decide_destination(own, peer, host).action;
  const Copy copy = copy_of(own);
  if (action == Action::activate) REQUIRE(own.phase == Phase::destination_committed);
  if (committed(own.phase)) REQUIRE((action == Action::activate || action == Action::nothing));
  if (action == Action::discard) REQUIRE(own.phase == Phase::destination_aborted);
  if (action == Action::commit) {
    REQUIRE((own.phase == Phase::destination_gated || own.phase == Phase::loaded));
    REQUIRE(copy == Copy::stopped);
    REQUIRE_FALSE(own.live);
    if (peer) REQUIRE((peer->phase == Phase::source_committed || peer->phase == Phase::source_done));
    if (!peer) REQUIRE(host == PeerHost::fenced);
  }
  // A whole copy is destroyed only when the guest is known to be elsewhere.
  if (action == Action::abort && copy == Copy::stopped && own.phase != Phase::prepared) {
    REQUIRE(peer);
    const bool aborted = peer->phase == Phase::source_aborted || peer->phase == Phase::source_reclaimed ||
                         peer->phase == Phase::source_failed;
    REQUIRE(aborted);
  }
}

}  // namespace

TEST_CASE("no decision of a source breaks the rules of ownership") {
  std::size_t cases = 0;
  for (const EndView& own : all_views(kSourcePhases))
    for (const PeerHost host : {PeerHost::standing, PeerHost::fenced}) {
      check_source(own, std::nullopt, host);
      for (const EndView& peer : all_views(kDestinationPhases)) check_source(own, peer, host), ++cases;
    }
  CHECK(cases == 9 * 26 * 9 * 26 * 2);
}

TEST_CASE("at its start an agent gives nothing away: it keeps what is here, or waits") {
  for (const EndView& own : all_views(kSourcePhases)) {
    const Action action = decide_at_start(own).action;
    const Copy copy = copy_of(own);
    REQUIRE((action == Action::abort || action == Action::wait || action == Action::nothing));
    if (action != Action::abort) continue;
    REQUIRE((own.phase == Phase::started || own.phase == Phase::source_gated));
    REQUIRE((copy == Copy::running || copy == Copy::stopped || copy == Copy::broken));
    REQUIRE_FALSE(own.live);
  }
  CHECK(decide_at_start({Phase::source_gated, false, true, {true, DomainState::running, false}}).action ==
        Action::abort);
}

TEST_CASE("a hypervisor that says `failed` is not believed where the guest may have left and nothing of it is here") {
  const auto decide = [](Phase phase, Holding holding) { return decide_failed({phase, false, true, holding}).action; };
  CHECK(decide(Phase::source_gated, {true, DomainState::running, false}) == Action::abort);
  CHECK(decide(Phase::source_gated, {true, DomainState::shut_off, false}) == Action::in_doubt);
  CHECK(decide(Phase::source_gated, {false, DomainState::unknown, false}) == Action::in_doubt);
  CHECK(decide(Phase::started, {false, DomainState::unknown, false}) == Action::abort);
  CHECK(decide(Phase::source_gated, {true, DomainState::paused, true}) == Action::in_doubt);  // busy
  CHECK(decide_failed({Phase::source_gated, false, false, {}}).action == Action::in_doubt);   // it does not answer
}

TEST_CASE("a guest that is off, but still defined, is not taken for one that has left") {
  const EndView there{Phase::loaded, false, true, {true, DomainState::paused, false}};
  const EndView off{Phase::source_gated, false, true, {true, DomainState::shut_off, false}};
  const EndView gone{Phase::source_gated, false, true, {false, DomainState::unknown, false}};
  const EndView moved{Phase::source_gated, false, true, {true, DomainState::shut_off, false, true}};
  CHECK(decide_source(off, there, PeerHost::standing).action == Action::in_doubt);
  CHECK(decide_source(off, std::nullopt, PeerHost::fenced).action == Action::in_doubt);
  CHECK(decide_source(gone, there, PeerHost::standing).action == Action::commit);
  // Unless the hypervisor says so.
  CHECK(decide_source(moved, there, PeerHost::standing).action == Action::commit);
}

TEST_CASE("nobody is told to start what is off here where the destination may have committed") {
  const EndView off{Phase::source_gated, false, true, {true, DomainState::shut_off, false}};
  const auto advice = [&](const std::optional<EndView>& peer) {
    return decide_source(off, peer, PeerHost::standing).reason;
  };
  CHECK_THAT(advice(EndView{Phase::loaded, false, true, {true, DomainState::paused, false}}),
             Catch::Contains("Start it here, and it stays here"));
  CHECK_THAT(advice(EndView{Phase::destination_lost, false, true, {false, DomainState::unknown, false}}),
             Catch::Contains("never start it here, undefine it"));
  CHECK_THAT(advice(std::nullopt), Catch::Contains("only where it has not committed may the guest be started here"));
}

TEST_CASE("no decision of a destination breaks the rules of ownership") {
  for (const EndView& own : all_views(kDestinationPhases))
    for (const PeerHost host : {PeerHost::standing, PeerHost::fenced}) {
      check_destination(own, std::nullopt, host);
      for (const EndView& peer : all_views(kSourcePhases)) check_destination(own, peer, host);
    }
}

TEST_CASE("two ends that see each other never both run the guest") {
  for (const EndView& source : all_views(kSourcePhases))
    for (const EndView& destination : all_views(kDestinationPhases)) {
      const Action here = decide_source(source, destination, PeerHost::standing).action;
      const Action there = decide_destination(destination, source, PeerHost::standing).action;
      if (keeps(here)) REQUIRE_FALSE(runs(there));
      // A whole copy is never destroyed where the guest is given away to it.
      if (gives_away(here) && copy_of(destination) == Copy::stopped) REQUIRE(there != Action::abort);
    }
}

TEST_CASE("COMMIT and ABORT exclude each other for ever, at either end") {
  const auto has = [](Phase from, Phase to) { return reachable(from).contains(to); };
  for (const Phase from : {Phase::source_committed, Phase::source_done})
    for (const Phase to : {Phase::source_aborted, Phase::source_reclaimed, Phase::source_failed}) {
      CHECK_FALSE(has(from, to));
      CHECK_FALSE(has(to, from));
    }
  for (const Phase from : {Phase::destination_committed, Phase::active})
    for (const Phase to : {Phase::destination_aborted, Phase::discarded}) {
      CHECK_FALSE(has(from, to));
      CHECK_FALSE(has(to, from));
    }
  CHECK_FALSE(has(Phase::prepared, Phase::none));
  CHECK(has(Phase::started, Phase::source_done));
  CHECK(has(Phase::prepared, Phase::active));
  // A destination that never passed its gate cannot come to hold COMMIT.
  CHECK_FALSE(may_follow(Phase::prepared, Phase::destination_committed));
  CHECK_FALSE(may_follow(Phase::prepared, Phase::loaded));
  CHECK_FALSE(may_follow(Phase::started, Phase::source_committed));
}

TEST_CASE("a phase belongs to one side, and a final one goes nowhere but from lost") {
  for (const Phase phase : kSourcePhases)
    if (phase != Phase::none) CHECK(side_of(phase) == Side::source);
  for (const Phase phase : kDestinationPhases)
    if (phase != Phase::none) CHECK(side_of(phase) == Side::destination);
  CHECK(side_of(static_cast<Phase>(99)) == Side::unknown);
  for (const Phase phase :
       {Phase::source_done, Phase::source_failed, Phase::active, Phase::discarded, Phase::destination_lost}) {
    CHECK(is_final(phase));
    CHECK(reachable(phase).empty());
  }
  for (const Phase phase : {Phase::started, Phase::source_gated, Phase::source_committed, Phase::source_aborted,
                            Phase::prepared, Phase::destination_gated, Phase::loaded, Phase::destination_committed})
    CHECK(state_of(phase) == MigrationState::in_doubt);
}
