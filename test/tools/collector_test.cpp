// What monitoring is told while the hypervisor is slow, gone or changing.
#include "vmsecd/collector.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "vmsecd/rising_counters.hpp"

using namespace vmsec;
using namespace vmsec::daemon;
using namespace std::chrono_literals;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

tools::Reading reading(std::uint32_t vcpus, std::uint64_t cpu_time, std::uint64_t steal) {
  tools::Reading out;
  out.domain.name = "web-1";
  out.domain.state = DomainState::running;
  out.domain.vcpus = vcpus;
  out.domain.cpu_time = {cpu_time};
  out.domain.cpu_steal = Microseconds{steal};
  return out;
}

Result<HostInfo> agent() {
  HostInfo info;
  info.name = "host-a";
  return info;
}

// Opened once; what waits at it goes on.
struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  void wait() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return open; });
  }
  void release() {
    const std::lock_guard lock(mutex);
    open = true;
    changed.notify_all();
  }
};

// Each time in turn: what keep() makes of (vCPUs, CPU time, steal).
std::vector<std::pair<std::uint64_t, std::uint64_t>> risen(const std::vector<tools::Reading>& turns) {
  RisingCounters counters;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> out;
  for (const auto& turn : turns) {
    std::vector<tools::Reading> all{turn};
    counters.keep(all);
    out.emplace_back(all[0].domain.cpu_time.value, all[0].domain.cpu_steal->value);
  }
  return out;
}

}  // namespace

TEST_CASE("however often it is asked for, it is read once in a while") {
  std::atomic<int> times{0};
  Collector collector(agent,
                      [&]() -> Result<std::vector<tools::Reading>> {
                        ++times;
                        return std::vector{reading(1, 5'000'000, 0)};
                      },
                      {1h, 1h});
  for (int i = 0; i < 100; ++i) CHECK(has(*collector.text(), "\nvmsec_hypervisor_up 1\n"));
  CHECK(times == 1);
}

TEST_CASE("what was read before is read anew") {
  std::atomic<std::uint64_t> times{0};
  Collector collector(
      agent, [&]() -> Result<std::vector<tools::Reading>> { return std::vector{reading(1, ++times * 1'000'000, 0)}; },
      {0ms, 1h});
  CHECK(has(*collector.text(),
            "vmsec_vm_cpu_seconds_total{vm=\"web-1\",uuid=\"00000000-0000-0000-0000-000000000000\"} 1\n"));
  CHECK(has(*collector.text(),
            "vmsec_vm_cpu_seconds_total{vm=\"web-1\",uuid=\"00000000-0000-0000-0000-000000000000\"} 2\n"));
}

TEST_CASE("a hypervisor that hangs is told as one that does not answer, and ends nobody's end") {
  const auto gate = std::make_shared<Gate>();
  const auto done = std::make_shared<Gate>();
  {
    Collector collector(agent,
                        [gate, done]() -> Result<std::vector<tools::Reading>> {
                          gate->wait();
                          done->release();
                          return std::vector{reading(1, 0, 0)};
                        },
                        {1h, 10ms});
    for (int i = 0; i < 2; ++i) {
      const auto text = collector.text();
      REQUIRE(text);
      CHECK(has(*text, "\nvmsec_hypervisor_up 0\n"));
      CHECK_FALSE(has(*text, "vmsec_vm_"));
    }
  }
  gate->release();
  done->wait();
}

TEST_CASE("a hypervisor that says no is told so") {
  Collector collector(
      agent, []() -> Result<std::vector<tools::Reading>> { return fail(Code::unavailable, "libvirtd is gone"); },
      {0ms, 1h});
  CHECK(has(*collector.text(), "\nvmsec_hypervisor_up 0\n"));
}

TEST_CASE("the CPU time of a vCPU that was taken away stays in the sum") {
  const auto sums = risen({reading(2, 1000, 100), reading(2, 3000, 300), reading(1, 1600, 150), reading(1, 1700, 160),
                           reading(2, 1800, 160)});
  const std::vector<std::pair<std::uint64_t, std::uint64_t>> wanted = {
      {1000, 100}, {3000, 300}, {3000, 300}, {3100, 310}, {3200, 310}};
  CHECK(sums == wanted);
}

TEST_CASE("a VM that was started anew counts from nothing") {
  const auto sums = risen({reading(2, 3000, 300), reading(1, 1600, 200), reading(1, 10, 1)});
  CHECK(sums.back() == std::pair<std::uint64_t, std::uint64_t>(10, 1));
}
