// The last verdict on each host, and who hears of a change.
#include "verdicts.hpp"

#include <catch2/catch.hpp>
#include <future>

#include "modules/fake_host.hpp"

namespace vmsec::boot::test {
namespace {

using std::chrono::seconds;

struct Known {
  vmsec::test::FakeJournal journal;
  Verdicts verdicts{journal};
  SteadyTime time;

  Known() { verdicts.admit("host-a"); }
  void note(Verdict verdict, const std::string& cause = {}) { verdicts.note("host-a", {verdict, cause, time}); }
  HostVerdict get() { return verdicts.get("host-a", time).value(); }
  AttestationChanges after(std::uint64_t sequence) { return verdicts.next({sequence, {}, 0}); }
};

}  // namespace

TEST_CASE("a host that was never attested is unknown, and each verdict is kept as what it is") {
  Known known;
  CHECK(known.get().verdict == Verdict::unknown);
  CHECK(known.get().cause == "not attested yet");
  CHECK(known.get().checked.value == 0);
  for (const auto verdict : {Verdict::trusted, Verdict::untrusted, Verdict::unreachable, Verdict::stale}) {
    known.note(verdict, "so it is");
    CHECK(known.get().verdict == verdict);
    CHECK(known.get().cause == (verdict == Verdict::trusted ? "" : "so it is"));
    CHECK(known.get().checked.value > 0);
  }
  CHECK_FALSE(known.verdicts.get("host-b", known.time));
}

TEST_CASE("a change is queued once, with what was before, and audited") {
  Known known;
  known.note(Verdict::trusted);
  CHECK(known.journal.entries.empty());  // as everybody expects after a start
  known.note(Verdict::trusted);
  known.note(Verdict::untrusted, "PCR 4 differs");
  known.note(Verdict::untrusted, "PCR 5 differs");
  known.note(Verdict::unreachable, "connection refused");
  known.note(Verdict::trusted);
  const auto heard = known.after(0);
  REQUIRE(heard.changes.size() == 4);
  CHECK(heard.last == 4);
  CHECK(heard.missed == 0);
  CHECK(heard.changes[1].sequence == 2);
  CHECK(heard.changes[1].host == "host-a");
  CHECK(heard.changes[1].before == Verdict::trusted);
  CHECK(heard.changes[1].after == Verdict::untrusted);
  CHECK(heard.changes[1].cause == "PCR 4 differs");
  CHECK(heard.changes[3].after == Verdict::trusted);
  CHECK(known.after(3).changes.size() == 1);
  CHECK(known.after(4).changes.empty());
  REQUIRE(known.journal.entries.size() == 3);
  const auto& entry = known.journal.entries[0];
  CHECK(entry.action == "measured_boot.verdict");
  CHECK(entry.outcome == Outcome::refused);
  CHECK(entry.peer == "host-a");
  CHECK(entry.detail == "trusted to untrusted: PCR 4 differs");
  CHECK(known.journal.entries[1].outcome == Outcome::failed);
  CHECK(known.journal.entries[2].outcome == Outcome::succeeded);
}

TEST_CASE("a change stands although it cannot be audited") {
  Known known;
  known.journal.refuse_from = 0;
  known.note(Verdict::untrusted, "PCR 4 differs");
  CHECK(known.get().verdict == Verdict::untrusted);
  CHECK(known.after(0).changes.size() == 1);
}

TEST_CASE("a host that is not enrolled takes no memory") {
  Known known;
  known.verdicts.note("host-x", {Verdict::trusted, {}, known.time});
  CHECK(known.verdicts.list(known.time).size() == 1);
  CHECK(known.after(0).changes.empty());
}

TEST_CASE("evidence that was asked for earlier than the last changes nothing") {
  Known known;
  const SteadyTime early = known.time;
  known.time += seconds(5);
  known.note(Verdict::untrusted, "PCR 4 differs");
  known.verdicts.note("host-a", {Verdict::trusted, {}, early});
  CHECK(known.get().verdict == Verdict::untrusted);
}

TEST_CASE("trust grows stale, and no other verdict does") {
  Known known;
  known.note(Verdict::trusted);
  known.time += seconds(60);
  known.verdicts.age(known.time, seconds(60));
  CHECK(known.get().verdict == Verdict::trusted);
  CHECK(known.get().age == 60);
  known.time += seconds(1);
  known.verdicts.age(known.time, seconds(60));
  CHECK(known.get().verdict == Verdict::stale);
  CHECK(known.get().cause == "last attested 61 s ago, at most 60 s are allowed");
  CHECK(known.after(1).changes.at(0).before == Verdict::trusted);
  known.note(Verdict::unreachable, "connection refused");
  known.time += seconds(1000);
  known.verdicts.age(known.time, seconds(60));
  CHECK(known.get().verdict == Verdict::unreachable);
}

TEST_CASE("a revoked host is untrusted whatever it shows, until it is forgotten") {
  Known known;
  known.note(Verdict::trusted);
  known.verdicts.revoke("host-a", "revoked by an operator: stolen");
  known.note(Verdict::trusted);
  known.verdicts.age(known.time + seconds(1000), seconds(60));
  CHECK(known.get().verdict == Verdict::untrusted);
  CHECK(known.get().revoked);
  CHECK(known.get().cause == "revoked by an operator: stolen");
  known.time += seconds(2);
  known.verdicts.forget("host-a", "reinstated", known.time);
  CHECK(known.get().verdict == Verdict::unknown);
  CHECK_FALSE(known.get().revoked);
  // What was asked for while it was revoked is no word of its own.
  known.verdicts.note("host-a", {Verdict::trusted, {}, known.time - seconds(1)});
  CHECK(known.get().verdict == Verdict::unknown);
  known.note(Verdict::trusted);
  CHECK(known.get().verdict == Verdict::trusted);
  CHECK(known.journal.entries.back().detail == "unknown to trusted");
}

TEST_CASE("who comes late is told how many changes were missed") {
  Known known;
  for (int i = 0; i < 600; ++i) {
    known.note(Verdict::unreachable, "connection refused");
    known.note(Verdict::trusted);
  }
  const auto heard = known.after(50);
  CHECK(heard.last == 1200);
  CHECK(heard.missed == 150);
  REQUIRE(heard.changes.size() == 100);
  CHECK(heard.changes[0].sequence == 201);
  CHECK(known.verdicts.next({200, {}, 5}).changes.size() == 5);
  CHECK(known.verdicts.next({200, {}, 5}).missed == 0);
  CHECK(known.verdicts.next({0, {}, 100'000}).changes.size() == 1000);
  CHECK(known.verdicts.next({~std::uint64_t{0}, {}, 0}).changes.empty());
}

TEST_CASE("who waits is woken by a change") {
  Known known;
  auto waits = std::async(std::launch::async, [&] { return known.verdicts.next({0, {10'000'000}, 0}); });
  known.note(Verdict::untrusted, "PCR 4 differs");
  CHECK(waits.get().changes.size() == 1);
}

}  // namespace vmsec::boot::test
