// The token bucket by a clock of the test's own, and who waits for it.
#include "bandwidth.hpp"

#include <future>

#include "fake_host.hpp"
#include "stream_testing.hpp"

using namespace vmsec;
using namespace vmsec::migration;
using namespace vmsec::migration::test;

namespace {

using Time = TokenBucket::Clock::time_point;
constexpr std::chrono::seconds kLong{100};

// What goes through in that time, if somebody always has a piece to send.
double carried(TokenBucket& bucket, std::size_t piece, Time& now, std::chrono::seconds time) {
  const Time end = now + time;
  double bytes = 0;
  while (now < end) {
    const auto wait = bucket.take(piece, now);
    if (wait == TokenBucket::Clock::duration::zero())
      bytes += static_cast<double>(piece);
    else
      now += wait;
  }
  return bytes;
}

const std::vector<Setting> kSlow{text_setting("bandwidth", "64 KiB/s")};

}  // namespace

TEST_CASE("a token bucket lets its rate through, whatever the pieces") {
  const std::uint64_t rate = GENERATE(65'536U, 1'000'000U, 125'000'000U);
  const std::size_t piece = GENERATE(1U, 4096U, 262'144U);
  if (piece == 1 && rate > 65'536) return;
  Time now{};
  TokenBucket bucket({rate}, now);
  const double wanted = static_cast<double>(rate) * 100,
               slack = static_cast<double>(rate) * 0.05 + static_cast<double>(piece);
  const double bytes = carried(bucket, piece, now, kLong);
  CHECK(bytes <= wanted + slack);
  CHECK(bytes >= wanted - slack);
}

TEST_CASE("a token bucket saves up no more than its burst") {
  Time now{};
  TokenBucket bucket({1'000'000}, now);
  now += kLong;
  const Time then = now;
  double bytes = 0;
  while (bucket.take(1000, now) == TokenBucket::Clock::duration::zero()) bytes += 1000;
  CHECK(now == then);
  CHECK(bytes <= 52'000);
}

TEST_CASE("several who share a bucket share its rate") {
  Time now{};
  TokenBucket bucket({1'000'000}, now);
  double bytes = 0;
  while (now < Time{} + kLong) {
    auto wait = TokenBucket::Clock::duration::zero();
    for (int stream = 0; stream < 4; ++stream) {
      const auto one = bucket.take(8192, now);
      if (one == TokenBucket::Clock::duration::zero()) bytes += 8192;
      wait = std::max(wait, one);
    }
    now += std::max<TokenBucket::Clock::duration>(wait, std::chrono::microseconds(1));
  }
  CHECK(bytes <= 100e6 + 60'000);
  CHECK(bytes >= 99e6);
}

TEST_CASE("who waits for a bandwidth goes on when it is raised, and leaves when it is told to stop") {
  Bandwidth bandwidth;
  std::atomic<bool> stopping = false;
  CHECK(bandwidth.admit(std::size_t{1} << 40, stopping));  // unlimited
  CHECK(bandwidth.piece(1000) == 1000);
  bandwidth.set(kLeastBandwidth);
  CHECK(bandwidth.piece(1 << 18) == 4096);
  CHECK(bandwidth.admit(std::size_t{1} << 40, stopping));  // more than will be there for months
  auto waiting = std::async(std::launch::async, [&] { return bandwidth.admit(1, stopping); });
  SECTION("unlimited") {
    bandwidth.set(kUnlimitedBandwidth);
    CHECK(waiting.get());
  }
  SECTION("another limit") {
    bandwidth.set({1'000'000'000});
    CHECK(waiting.get());
  }
  SECTION("stop") {
    stopping = true;
    bandwidth.wake();
    CHECK_FALSE(waiting.get());
  }
}

TEST_CASE("a bandwidth by which nothing would move is refused") {
  CHECK(check_bandwidth(kUnlimitedBandwidth));
  CHECK(check_bandwidth(kLeastBandwidth));
  CHECK(check_bandwidth({125'000'000}));
  for (const std::uint64_t bad :
       {std::uint64_t{0}, std::uint64_t{1}, kLeastBandwidth.value - 1, kMostBandwidth.value + 1})
    CHECK(check_bandwidth({bad}).error().code == Code::invalid_argument);
}

TEST_CASE("a limit holds the guest's streams, never the control stream, and is lifted while they wait") {
  SocketPair main_wire, control_wire, control_channel, control_there;
  End source(Side::source), destination(Side::destination);
  source.set.limit(kLeastBandwidth);
  source.join(std::move(main_wire.a), "one");
  destination.join(std::move(main_wire.b), "one", ChannelKind::main, 0, Side::destination);
  const Fd guest_end = std::move(source.hypervisor), guest_there = std::move(destination.hypervisor);
  const std::string guest(4'000'000, 'g');  // a minute of it
  std::thread writer([&] { write_text(guest_end, guest); });
  source.join(std::move(control_wire.a), "two", ChannelKind::control);
  destination.join(std::move(control_wire.b), "two", ChannelKind::control, 0, Side::destination);
  write_text(source.hypervisor, "the hypervisors' own talk");
  CHECK(read_text(destination.hypervisor, 25) == "the hypervisors' own talk");
  CHECK(source.set.totals().guest_bytes < guest.size());
  source.set.limit(kUnlimitedBandwidth);
  CHECK(read_text(guest_there, guest.size()) == guest);
  writer.join();
}

TEST_CASE("a stream that waits for its bandwidth ends when it is told to") {
  SocketPair wire;
  End source(Side::source);
  source.set.limit(kLeastBandwidth);
  source.join(std::move(wire.a), "one");
  const std::string guest(100'000, 'g');
  write_text(source.hypervisor, guest);
  source.set.stop();
  CHECK(source.set.totals().guest_bytes < guest.size());
}

TEST_CASE("the bandwidth of a migration is the request's, else the configuration's") {
  Policy policy;
  policy.bandwidth = {1'000'000};
  MigrateRequest request;
  CHECK(source_options(policy, request)->bandwidth == BytesPerSecond{1'000'000});
  request.options.bandwidth = {2'000'000};
  const auto options = source_options(policy, request);
  REQUIRE(options);
  CHECK(options->bandwidth == BytesPerSecond{2'000'000});
  CHECK(options->hypervisor.bandwidth.value == 0);  // what it sends is held here
  request.options.bandwidth = kUnlimitedBandwidth;
  CHECK(source_options(policy, request)->bandwidth == kUnlimitedBandwidth);
  request.options.bandwidth = {5};
  CHECK(source_options(policy, request).error().code == Code::invalid_argument);
}

TEST_CASE("a migration's bandwidth is changed on the way, on record") {
  Pair pair(kSlow);  // the guest's 3 MB would take most of a minute
  const auto begun = pair.migrate();
  REQUIRE(begun);
  CHECK(begun->bandwidth == kLeastBandwidth);
  CHECK(pair.a.module()->set({kDomain, {0}}).error().code == Code::invalid_argument);
  CHECK(pair.a.module()->set({kDomain, {1000}}).error().code == Code::invalid_argument);
  CHECK_FALSE(pair.a.audited("migration.set", Outcome::succeeded));
  CHECK(pair.b.module()->set({kDomain, kUnlimitedBandwidth}).error().code == Code::not_found);
  const auto changed = pair.a.module()->set({kDomain, {125'000}});
  REQUIRE(changed);
  CHECK(changed->bandwidth == BytesPerSecond{125'000});
  REQUIRE(pair.a.module()->set({kDomain, kUnlimitedBandwidth}));
  CHECK(pair.a.audited("migration.set", Outcome::succeeded));
  const auto status = pair.a.module()->status({begun->migration, {60'000'000}});
  REQUIRE(status);
  INFO(status->cause);
  CHECK(status->state == MigrationState::completed);
  CHECK(status->bandwidth.value == 0);
  CHECK(pair.b.hypervisor.memory(kDomain) == pair.memory);
  CHECK(pair.a.module()->set({kDomain, kUnlimitedBandwidth}).error().code == Code::not_found);
}

TEST_CASE("a change of the bandwidth that cannot be put on record does not happen") {
  Pair pair(kSlow);
  REQUIRE(pair.migrate());
  REQUIRE(eventually([&] { return pair.network.streams == 4; }));
  pair.a.audit_fails = true;
  CHECK_FALSE(pair.a.module()->set({kDomain, kUnlimitedBandwidth}));
  pair.a.audit_fails = false;
  CHECK(pair.a.module()->list({})->migrations[0].bandwidth == kLeastBandwidth);
}
