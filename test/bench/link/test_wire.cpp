#include "link/wire.hpp"

#include <catch2/catch.hpp>

using namespace vmsec::link;
using namespace std::chrono_literals;

namespace {

constexpr Time kBegin{1000s};

Shape gigabit(Duration delay = 0ns, Duration jitter = 0ns, double loss = 0) {
  Shape shape;
  shape.rate = 125'000'000;
  shape.delay = delay;
  shape.jitter = jitter;
  shape.loss = loss;
  return shape;
}

// Sends chunks for as long as the clock says, with receivers that take at once; answers the bytes that arrived by then.
std::size_t carried(const Shape& shape, std::size_t flows, Duration time) {
  Wire wire(shape);
  std::vector<Flow> all;
  for (std::size_t i = 0; i < flows; ++i) all.emplace_back(shape, i);
  std::vector<std::deque<std::pair<Time, std::size_t>>> under_way(flows);
  std::size_t arrived = 0;
  for (Time now = kBegin; now < kBegin + time; now += 100us) {
    for (std::size_t i = 0; i < flows; ++i) {
      while (!under_way[i].empty() && under_way[i].front().first <= now) {
        arrived += under_way[i].front().second;
        all[i].received(under_way[i].front().first, under_way[i].front().second);
        under_way[i].pop_front();
      }
      all[i].learn(now);
      const std::size_t bytes = std::min<std::size_t>(shape.chunk(), all[i].room());
      if (wire.opens() <= now && bytes >= kSegment) under_way[i].emplace_back(all[i].send(wire, now, bytes), bytes);
    }
  }
  return arrived;
}

}  // namespace

TEST_CASE("a wire carries its rate, whether by one flow or by many") {
  for (const std::size_t flows : {1, 2, 8}) {
    INFO(flows << " flows");
    CHECK(carried(gigabit(), flows, 2s) == Approx(250e6).epsilon(0.02));
  }
}

TEST_CASE("a delay costs time and no rate: the window holds what is under way") {
  CHECK(carried(gigabit(50ms), 1, 4s) == Approx(3.95 * 125e6).epsilon(0.03));
}

TEST_CASE("idle time is worth no more than the bucket's depth") {
  Wire wire(gigabit());
  wire.carry(kBegin, 1000);
  const Time later = kBegin + 10s;
  Time left = later;
  for (int i = 0; i < 250; ++i) left = wire.carry(later, 10'000);  // 20 ms of the rate
  CHECK(left - later == Duration(10ms));
}

TEST_CASE("a wire without a rate carries at once") {
  Wire wire{Shape{}};
  CHECK(wire.carry(kBegin, 1 << 30) == kBegin);
  CHECK(wire.opens() <= kBegin);
}

TEST_CASE("bytes arrive a delay after the last of them has left") {
  const Shape shape = gigabit(10ms);
  Wire wire(shape);
  Flow flow(shape, 0);
  const Time first = flow.send(wire, kBegin, 1'250'000);  // 10 ms of the rate: the bucket is full, so it leaves at once
  CHECK(first - kBegin == Duration(10ms));
  CHECK(flow.send(wire, kBegin, 1'250'000) - kBegin == Duration(20ms));
}

TEST_CASE("jitter changes the delay within its bounds and no order") {
  const Shape shape = gigabit(10ms, 5ms);
  Wire wire(shape);
  Flow flow(shape, 7);
  Time last = Time::min(), now = kBegin;
  bool early = false, late = false;
  for (int i = 0; i < 1000; ++i, now += 100ms) {
    const Time arrival = flow.send(wire, now, 1);
    CHECK(arrival >= last);
    CHECK(arrival - now >= Duration(5ms));
    CHECK(arrival - now <= Duration(15ms) + 1us);
    early = early || arrival - now < Duration(8ms);
    late = late || arrival - now > Duration(12ms);
    last = arrival;
    flow.received(arrival, 1);
    flow.learn(now + 50ms);
  }
  CHECK((early && late));
}

TEST_CASE("no more is under way than a window, until the receiver has taken it and the sender knows") {
  const Shape shape = gigabit(10ms);
  Wire wire(shape);
  Flow flow(shape, 0);
  const std::size_t window = flow.room();
  flow.send(wire, kBegin, window);
  CHECK(flow.room() == 0);
  flow.received(kBegin + 10ms, window);
  flow.learn(kBegin + 19ms);
  CHECK(flow.room() == 0);
  CHECK(flow.learns() == kBegin + 20ms);
  flow.learn(kBegin + 20ms);
  CHECK(flow.room() == window);
}

TEST_CASE("a loss costs a round trip and half the window, and what lies behind waits with it") {
  Shape shape = gigabit(10ms, 0ns, 0.1);
  Wire wire(shape);
  Flow flow(shape, 0);
  const std::size_t window = flow.room();
  const Time arrival = flow.send(wire, kBegin, 200 * kSegment);  // unhurt with a chance of 0.9 to the 200th
  REQUIRE(flow.losses() == 1);
  CHECK(arrival - kBegin >= Duration(30ms));
  CHECK(flow.room() == window / 2 - 200 * kSegment);
  CHECK(flow.send(wire, kBegin, 1) >= arrival);
}

TEST_CASE("loss makes a far link slow, as it does TCP, and a near one less") {
  const double whole = 10 * 125e6;
  const auto near = static_cast<double>(carried(gigabit(1ms, 0ns, 0.001), 1, 10s));
  const auto far = static_cast<double>(carried(gigabit(20ms, 0ns, 0.001), 1, 10s));
  CHECK(far < 0.1 * whole);
  CHECK(far < near / 3);
  CHECK(far > 0.002 * whole);
  CHECK(static_cast<double>(carried(gigabit(20ms, 0ns, 0.001), 8, 10s)) > 3 * far);  // each has a window of its own
}

TEST_CASE("the same seed loses the same") {
  const Shape shape = gigabit(5ms, 1ms, 0.01);
  CHECK(carried(shape, 2, 1s) == carried(shape, 2, 1s));
}
