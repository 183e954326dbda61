// The explorer finds bugs: each of these is put into the decisions, and found, by a shortest trace.
// `test_migration_model -s "[seeded]"` prints the traces.
#include <catch2/catch.hpp>
#include <iostream>

#include "explorer.hpp"

using namespace vmsec::migration;
using namespace vmsec::migration::explorer;

namespace {

using Peer = std::optional<EndView>;

Report seeded(const char* name, const Rules& rules, const World& world) {
  const Report report = explore(rules, world);
  std::cout << "seeded, " << name << ": " << report.text() << std::endl;
  return report;
}

// The trace is shown with -s, and when another bug was found than the one that was seeded.
void finds(const char* name, const Rules& rules, const World& world, const std::string& violation) {
  const Report report = seeded(name, rules, world);
  INFO(report.trace);
  CHECK(report.violation == violation);
}

constexpr const char* kTwo = "two hosts run the guest";
constexpr const char* kOld = "an old copy runs: the guest has run elsewhere since";
constexpr const char* kOnly = "the only whole copy is destroyed";
constexpr const char* kKeeps = "the source keeps a guest that it has not, and the destination's copy is the only one";

bool holds_whole(const EndView& own) {
  return (own.phase == Phase::destination_gated || own.phase == Phase::loaded) && copy_of(own) == Copy::stopped;
}

}  // namespace

TEST_CASE("found: a destination that commits when its source is silent", "[seeded]") {
  Rules rules;
  rules.decide_destination = [](const EndView& own, const Peer& peer, PeerHost host) -> Decision {
    if (!peer && !own.live && holds_whole(own)) return {Action::commit, {}};
    return decide_destination(own, peer, host);
  };
  finds("a silent source is taken for one that is off", rules, {}, kTwo);
}

TEST_CASE("found: a source that takes its guest back after COMMIT", "[seeded]") {
  Rules rules;
  rules.decide_source = [](const EndView& own, const Peer& peer, PeerHost host) -> Decision {
    if (own.phase == Phase::source_committed && !peer && !own.live) return {Action::abort, {}};
    return decide_source(own, peer, host);
  };
  rules.may_follow = [](Phase from, Phase to) {
    return may_follow(from, to) || (from == Phase::source_committed && to == Phase::source_aborted);
  };
  finds("the source reclaims after COMMIT", rules, {}, kKeeps);
}

TEST_CASE("found: a destination that takes ABORT after COMMIT", "[seeded]") {
  Rules rules;
  rules.may_follow = [](Phase from, Phase to) {
    return may_follow(from, to) || (from == Phase::destination_committed && to == Phase::destination_aborted);
  };
  finds("ABORT after COMMIT", rules, {.links_break = false, .power_fails = true, .fence = Fence::true_word}, kOnly);
}

TEST_CASE("found: a source that believes a destination's claim to have committed", "[seeded]") {
  Rules rules;
  rules.decide_source_for_peer = [](const EndView& own, const EndView& peer) -> Decision {
    if (!own.live && peer.phase == Phase::active) return {Action::complete, {}};
    return decide_source_for_peer(own, peer);
  };
  finds("a claim is believed", rules, {.liar = true}, kOnly);
}

TEST_CASE("found: a hypervisor that is told to proceed before `gated` is written", "[seeded]") {
  Rules rules;
  rules.gate = Order::act_first;
  const Report report = seeded("the hypervisor is told before `gated` is written", rules, {});
  INFO(report.trace);
  CHECK_FALSE(report.violation.empty());
}

TEST_CASE("found: a source that writes COMMIT at its gate", "[seeded]") {
  Rules rules;
  rules.commit_at_gate = true;
  finds("COMMIT before the hypervisor's word", rules, {}, kTwo);
}

// libvirt lets such a guest go on at the source when the agent there has died.
TEST_CASE("found: COMMIT before the guest is loaded, where its post-copy has not begun", "[seeded]") {
  Rules rules;
  rules.post_copy_is_seen = false;
  finds("COMMIT comes first where post-copy was asked for", rules, {.post_copy = true}, kTwo);
}

TEST_CASE("found: a destination that runs the guest before COMMIT is written", "[seeded]") {
  Rules rules;
  rules.steps_of_commit = [](Phase phase) {
    Steps steps = steps_of_commit(phase);
    if (steps.size() > 1) std::swap(steps[0], steps[1]);
    return steps;
  };
  const Report report = seeded("the destination acts, then writes", rules, {});
  INFO(report.trace);
  // It runs, and its record never says so: no fair schedule ends the doubt.
  CHECK(report.open > 0);
}

TEST_CASE("found: a source that is done, though its hypervisor died and left a copy", "[seeded]") {
  Rules rules;
  rules.steps_of = [](Side side, Action action, Phase phase) {
    Steps steps = steps_of(side, action, phase);
    if (phase == Phase::source_committed) std::erase(steps, Step::release);
    return steps;
  };
  finds("done, and a copy is left", rules, {}, "the source has finished, and a copy is still there");
}

TEST_CASE("found: a guest that has ended is taken for one that has left", "[seeded]") {
  Rules rules;
  rules.decide_source = [](const EndView& own, const Peer& peer, PeerHost host) -> Decision {
    EndView view = own;
    if (copy_of(own) == Copy::ended) view.holding.present = false;
    return decide_source(view, peer, host);
  };
  finds("off is taken for gone", rules, {.guests_die = true}, kOld);
}

TEST_CASE("found: an agent that aborts at its start though nothing is here", "[seeded]") {
  Rules rules;
  rules.decide_at_start = [](const EndView& own) -> Decision {
    if (own.phase == Phase::source_gated) return {Action::abort, {}};
    return decide_at_start(own);
  };
  finds("abort at the start, without a copy", rules, {}, kKeeps);
}

// This one was in the code until the explorer found it: see decide_failed().
TEST_CASE("found: a source that believes `failed` though its guest is gone", "[seeded]") {
  Rules rules;
  rules.decide_failed = [](const EndView&) -> Decision { return {Action::abort, {}}; };
  finds("`failed` is believed", rules, {.guests_die = true}, kKeeps);
}

// And this one: see OwnershipRecord::epoch.
TEST_CASE("found: an old record that commits after the guest has moved on", "[seeded]") {
  Rules rules;
  rules.epochs = false;
  finds("an old record acts", rules, {.fence = Fence::wrong_at_source, .moves_on = true}, kTwo);
}

TEST_CASE("found: a guest that may migrate on before its last migration is decided", "[seeded]") {
  Rules rules;
  rules.blocks_another = [](Phase) { return false; };
  finds("an undecided migration blocks nothing", rules, {.moves_on = true}, kTwo);
}
