#include "fixture.hpp"
#include "suite.hpp"

namespace vmsec::conformance {
namespace {

Result<std::uint64_t> newest(Events& events) {
  VMSEC_TRY(const auto list, events.next({0, {}, 1}));
  return list.last;
}

// The first event of this kind and domain after `after`.
Result<Event> await_event(Events& events, std::uint64_t after, EventKind kind, const Uuid& domain) {
  for (int round = 0; round < 100; ++round) {
    VMSEC_TRY(const auto list, events.next({after, {100'000}, 0}));
    for (const auto& event : list.events) {
      if (event.kind == kind && event.domain == domain) return event;
      after = event.sequence;
    }
  }
  return fail(Code::timeout, "no such event came");
}

Outcome pause_is_told(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto events = fixture.open_a<Events>();
  CONFORMANCE_TRY(const std::uint64_t before, newest(*events));
  CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->pause({domain}));
  CONFORMANCE_TRY(const Event paused, await_event(*events, before, EventKind::domain_paused, domain));
  CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->resume({domain}));
  CONFORMANCE_TRY(const Event resumed, await_event(*events, paused.sequence, EventKind::domain_resumed, domain));
  CONFORMANCE_EXPECT(resumed.sequence > paused.sequence, "the order is wrong");
  CONFORMANCE_EXPECT(paused.name == fixture.setup().domain, "it names domain \"" + paused.name + "\"");
  CONFORMANCE_EXPECT(paused.time.value > 1'700'000'000'000'000 && resumed.time >= paused.time, "its time is wrong");
  return passed();
}

Outcome waiting_ends(Fixture& fixture) {
  const auto events = fixture.open_a<Events>();
  CONFORMANCE_TRY(const auto list, events->next({~0ULL >> 1, {50'000}, 0}));
  CONFORMANCE_EXPECT(list.events.empty(), "events from the future");
  return passed();
}

Outcome sequence_ascends(Fixture& fixture) {
  CONFORMANCE_TRY(const auto list, fixture.open_a<Events>()->next({0, {}, 1000}));
  std::uint64_t last = 0;
  for (const auto& event : list.events) {
    CONFORMANCE_EXPECT(event.sequence > last,
                       "sequence " + std::to_string(event.sequence) + " after " + std::to_string(last));
    last = event.sequence;
  }
  CONFORMANCE_EXPECT(list.last >= last, "`last` is not the last");
  return passed(std::to_string(list.events.size()) + " events");
}

Outcome maximum_is_kept(Fixture& fixture) {
  CONFORMANCE_TRY(const auto list, fixture.open_a<Events>()->next({0, {}, 1}));
  CONFORMANCE_EXPECT(list.events.size() == 1, std::to_string(list.events.size()) + " events");
  return passed();
}

Outcome reading_again_gives_the_same(Fixture& fixture) {
  const auto events = fixture.open_a<Events>();
  CONFORMANCE_TRY(const auto first, events->next({0, {}, 2}));
  CONFORMANCE_TRY(const auto second, events->next({0, {}, 2}));
  CONFORMANCE_EXPECT(wire::encode(EventList{first.events, 0, 0}) == wire::encode(EventList{second.events, 0, 0}),
                     "the second reader saw other events");
  return passed();
}

Outcome after_is_kept(Fixture& fixture) {
  const auto events = fixture.open_a<Events>();
  CONFORMANCE_TRY(const auto all, events->next({0, {}, 1000}));
  CONFORMANCE_EXPECT(all.events.size() >= 2, "too few events so far");
  const std::uint64_t from = all.events[all.events.size() / 2].sequence;
  CONFORMANCE_TRY(const auto later, events->next({from, {}, 1000}));
  CONFORMANCE_EXPECT(!later.events.empty() || all.events.back().sequence == from, "none after it");
  for (const auto& event : later.events) CONFORMANCE_EXPECT(event.sequence > from, "an event of before");
  return passed();
}

Outcome waiter_is_woken(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto events = fixture.open_a<Events>();
  CONFORMANCE_TRY(const std::uint64_t before, newest(*events));
  Result<EventList> woken = EventList{};
  {
    const std::jthread waiter([&] { woken = fixture.open_a<Events>()->next({before, {30'000'000}, 1}); });
    CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->pause({domain}));
  }
  CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->resume({domain}));
  if (!woken) return from_error(woken.error());
  CONFORMANCE_EXPECT(!woken->events.empty(), "nobody woke it");
  return passed();
}

Outcome two_see_the_same(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto one = fixture.open_a<Events>();
  const auto two = fixture.open_a<Events>();
  CONFORMANCE_TRY(const std::uint64_t before, newest(*one));
  CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->pause({domain}));
  CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->resume({domain}));
  CONFORMANCE_TRY(const Event first, await_event(*one, before, EventKind::domain_resumed, domain));
  CONFORMANCE_TRY(const Event second, await_event(*two, before, EventKind::domain_resumed, domain));
  CONFORMANCE_EXPECT(wire::encode(first) == wire::encode(second), "they see different events");
  return passed();
}

Outcome resuming_twice_is_told_once(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto events = fixture.open_a<Events>();
  const auto domains = fixture.open_a<DomainControl>();
  CONFORMANCE_TRY(const std::uint64_t before, newest(*events));
  CONFORMANCE_CHECK(domains->pause({domain}));
  CONFORMANCE_CHECK(domains->resume({domain}));
  CONFORMANCE_CHECK(domains->resume({domain}));
  CONFORMANCE_TRY(const Event last, await_event(*events, before, EventKind::domain_resumed, domain));
  std::this_thread::sleep_for(std::chrono::milliseconds(700));  // what comes late
  CONFORMANCE_TRY(const auto later, events->next({last.sequence, {}, 100}));
  for (const auto& event : later.events)
    CONFORMANCE_EXPECT(event.kind != EventKind::domain_resumed || event.domain != domain, "it is told twice");
  return passed();
}

}  // namespace

void add_events(Checks& checks) {
  const auto add = [&](std::string claim, std::function<Outcome(Fixture&)> run) {
    checks.push_back({"Events", std::move(claim), std::move(run)});
  };
  add("pause and resume are told, in order", pause_is_told);
  add("waiting ends when the time is up", waiting_ends);
  add("sequence numbers ascend", sequence_ascends);
  add("no more than asked for are answered", maximum_is_kept);
  add("reading takes nothing away", reading_again_gives_the_same);
  add("only what came after is answered", after_is_kept);
  add("whoever waits is woken", waiter_is_woken);
  add("two readers see the same", two_see_the_same);
  add("a resume is told once", resuming_twice_is_told_once);
}

}  // namespace vmsec::conformance
