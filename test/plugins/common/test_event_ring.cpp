#include <catch2/catch.hpp>
#include <thread>

#include "event_ring.hpp"

using namespace vmsec;
using namespace vmsec::common;

TEST_CASE("events come in order, from where the reader was") {
  EventRing ring;
  for (int i = 0; i < 5; ++i) ring.push(EventKind::domain_started, {}, "web-" + std::to_string(i), {});
  const EventList all = ring.next({0, {}, 0});
  REQUIRE(all.events.size() == 5);
  CHECK(all.events[0].sequence == 1);
  CHECK(all.last == 5);
  const EventList some = ring.next({2, {}, 2});
  REQUIRE(some.events.size() == 2);
  CHECK(some.events[0].name == "web-2");
  CHECK(some.dropped == 0);
}

TEST_CASE("a thousand events are kept, and what is dropped is counted") {
  EventRing ring;
  const std::size_t total = EventRing::kKept + 10;
  for (std::size_t i = 0; i < total; ++i) ring.push(EventKind::domain_started, {}, {}, {});
  static_assert(EventRing::kKept >= 1000);
  const EventList list = ring.next({0, {}, 1});
  CHECK(list.dropped == 10);
  CHECK(list.events.front().sequence == 11);
  CHECK(ring.next({total, {}, 0}).events.empty());
  CHECK(ring.next({~std::uint64_t{0}, {}, 0}).dropped == 0);
}

TEST_CASE("a reader waits until the first event comes") {
  EventRing ring;
  EventList got;
  std::thread reader([&] { got = ring.next({0, {60'000'000}, 0}); });
  ring.push(EventKind::domain_paused, {}, "web-1", "paused");
  reader.join();
  REQUIRE(got.events.size() == 1);
  CHECK(got.events[0].kind == EventKind::domain_paused);
}

TEST_CASE("when the backend ends nobody goes on waiting") {
  EventRing ring;
  std::thread reader([&] { static_cast<void>(ring.next({0, {~std::uint64_t{0}}, 0})); });
  ring.stop();
  reader.join();
}
