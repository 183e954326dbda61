// What is made of two readings of the VMs' counters.
#include <catch2/catch.hpp>

#include "usage.hpp"

using namespace vmsec;
using namespace vmsec::cli;
using namespace std::chrono_literals;

namespace {

Reading reading(std::chrono::milliseconds at, std::uint64_t cpu_micros, std::uint64_t read, std::uint64_t sent) {
  Reading out;
  out.time = SteadyTime{} + 1h + at;
  out.counted = out.time;
  out.domain.state = DomainState::running;
  out.domain.domain = Uuid::parse("0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e01").value();
  out.domain.name = "web-1";
  out.domain.cpu_time = {cpu_micros};
  out.domain.cpu_steal = Microseconds{cpu_micros / 10};
  out.counters = IoStatistics{{{"vda", {read}, {0}, read / 4096, 0}}, {{"tap0", {0}, {sent}, 0, sent / 1000}}};
  out.resources = ResourceLimits{};
  out.resources->cpu_quota_millis = 1500;
  out.limits = IoLimits{};
  out.limits->disks.push_back({"vda", {1'000'000}, {0}, {0}, {0}, {0}, {0}, 0});
  return out;
}

}  // namespace

TEST_CASE("rates are differences over the time between, beside the limits that are set") {
  const auto before = reading(0ms, 1'000'000, 4096, 1000);
  const auto now = reading(2000ms, 4'000'000, 4096 + 1'800'000, 1000 + 50'000);
  const auto usage = usage_of(&before, now);
  REQUIRE(usage.measured);
  CHECK(usage.cpu.rate == Approx(1500));
  CHECK(usage.cpu.limit == 1500);
  CHECK(usage.steal.value() == Approx(150));
  REQUIRE(usage.disks.size() == 1);
  CHECK(usage.disks[0].in.rate == Approx(900'000));
  CHECK(usage.disks[0].in.limit == 1'000'000);
  CHECK(total_out(usage.nics) == Approx(25'000));
  CHECK(pressure_in(usage.disks).value() == Approx(0.9));
  CHECK_FALSE(pressure_out(usage.disks));
  CHECK_FALSE(pressure_in(usage.nics));
}

TEST_CASE("a VM that was not seen before, or was started anew, has no rates") {
  const auto now = reading(2000ms, 500, 100, 100);
  CHECK_FALSE(usage_of(nullptr, now).measured);
  const auto before = reading(0ms, 1'000'000, 4096, 1000);
  const auto usage = usage_of(&before, now);
  CHECK_FALSE(usage.measured);
  CHECK(total_in(usage.disks) == 0);
}

TEST_CASE("counters of a device that went back, or that is new, give no rate") {
  const auto before = reading(0ms, 0, 10'000, 0);
  auto now = reading(1000ms, 1000, 500, 0);
  now.counters->disks.push_back({"vdb", {1'000'000}, {0}, 10, 0});
  const auto usage = usage_of(&before, now);
  REQUIRE(usage.measured);
  CHECK(usage.disks[0].in.rate == 0);
  CHECK(usage.disks[1].in.rate == 0);
}

TEST_CASE("counters have a time of their own: a slow host's rates are right") {
  const auto before = reading(0ms, 0, 0, 0);
  auto now = reading(1000ms, 500'000, 4'000'000, 0);
  now.counted += 3s;
  const auto usage = usage_of(&before, now);
  CHECK(usage.cpu.rate == Approx(500));
  CHECK(usage.disks[0].in.rate == Approx(1'000'000));
}

TEST_CASE("a VM that does not run is not measured") {
  auto before = reading(0ms, 0, 0, 0);
  auto now = reading(1000ms, 0, 0, 0);
  now.domain.state = DomainState::shut_off;
  CHECK_FALSE(usage_of(&before, now).measured);
  CHECK_FALSE(usage_of(&now, before).measured);
}

TEST_CASE("steal that one of both readings lacks, or that went back, is not told") {
  auto before = reading(0ms, 1'000'000, 0, 0);
  auto now = reading(1000ms, 2'000'000, 0, 0);
  now.domain.cpu_steal = Microseconds{99'999};
  CHECK_FALSE(usage_of(&before, now).steal);
  now.domain.cpu_steal.reset();
  CHECK_FALSE(usage_of(&before, now).steal);
  now.domain.cpu_steal = Microseconds{200'000};
  before.domain.cpu_steal.reset();
  CHECK_FALSE(usage_of(&before, now).steal);
}

TEST_CASE("VMs are matched by their id, not by their place") {
  auto a = reading(0ms, 0, 0, 0);
  auto b = a;
  b.domain.domain = Uuid::parse("0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e02").value();
  auto b_now = b;
  b_now.time += 1s;
  b_now.domain.cpu_time = {250'000};
  const auto all = usage_of({a, b}, {b_now});
  REQUIRE(all.size() == 1);
  CHECK(all[0].cpu.rate == Approx(250));
}
