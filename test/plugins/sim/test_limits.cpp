#include <dirent.h>
#include <sched.h>
#include <sys/stat.h>

#include "cpu_shares.hpp"
#include "sim_fixture.hpp"
#include "token_bucket.hpp"

using namespace vmsec;
using namespace vmsec::sim;

namespace {

const Uuid kVm = uuid_of(1);

// What a counter gains a second, over about one second.
double rate_of(const std::function<std::uint64_t()>& counter) {
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // what was saved up passes
  const auto start = std::chrono::steady_clock::now();
  const auto before = counter();
  std::this_thread::sleep_for(std::chrono::milliseconds(1000));
  const auto after = counter();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return static_cast<double>(after - before) / seconds.count();
}

std::uint64_t cpu_time(const TestHost& host, const Uuid& domain) {
  return host.control().get({domain})->cpu_time.value;
}

// A busy machine gives less than it could: so a rate from below is waited for, and only one from above is checked at
// once.

// A limit holds from above, always; and it is a limit, no stop.
void check_holds(const std::function<std::uint64_t()>& counter, double limit) {
  double rate = 0;
  eventually([&] {
    rate = rate_of(counter);
    CHECK(rate < limit * 1.15);
    return rate > limit * 0.3;
  });
  CHECK(rate > limit * 0.3);
}

// Without the limit there is more to be had: what is measured under it is the limit.
void check_reaches(const std::function<std::uint64_t()>& counter, double least) {
  double rate = 0;
  eventually([&] { return (rate = rate_of(counter)) > least; });
  CHECK(rate > least);
}

// The text of domain_text(), whose domain has two vCPUs, with a maximum.
std::string with_maximum(int maximum, std::string text, int vcpus = 2) {
  const std::string was = "vcpus = 2\n";
  return text.replace(text.find(was), was.size(),
                      "vcpus = " + std::to_string(vcpus) + "\nvcpus_maximum = " + std::to_string(maximum) + "\n");
}

struct Host {
  TempDir root;
  TestHost a{root, "a"};
  explicit Host(const std::string& text) {
    a.file("vm-1", text);
    a.start();
  }
};

const std::string kDevices = R"([[disk]]
target = "vda"
source = "vm-1.img"
capacity = "4 MiB"
read = "40 MiB/s"
write = "40 MiB/s"
block = "16 KiB"
[[nic]]
target = "vm-1-0"
mac = "52:54:00:00:00:01"
receive = "20 MB/s"
transmit = "20 MB/s"
)";

}  // namespace

TEST_CASE("a bucket gives its rate, and what was saved up, and no more") {
  TimePoint now{std::chrono::seconds(1)};
  TokenBucket bucket;
  bucket.set(100, 10);
  CHECK(bucket.take(5, now) == 0);
  now += std::chrono::milliseconds(50);
  CHECK(bucket.take(100, now) == Approx(5));
  now += std::chrono::seconds(60);
  CHECK(bucket.take(100, now) == Approx(10));
  bucket.set(0, 0);
  CHECK(bucket.take(1e9, now) == 1e9);
}

TEST_CASE("a burst lasts its seconds, and then the average holds") {
  TimePoint now{std::chrono::seconds(1)};
  RateLimit limit;
  limit.set(1000, 5000, 2);
  double passed = 0;
  std::vector<double> seconds;
  for (int i = 0; i < 6; ++i) {
    const double before = passed;
    for (int step = 0; step < 1000; ++step) {
      now += std::chrono::milliseconds(1);
      while (limit.ready(now)) {
        limit.spend(10);
        passed += 10;
      }
    }
    seconds.push_back(passed - before);
  }
  CHECK(seconds[0] == Approx(5000).margin(600));
  CHECK(seconds[1] == Approx(5000).margin(600));
  CHECK(seconds[3] == Approx(1000).margin(50));
  CHECK(seconds[5] == Approx(1000).margin(50));
}

TEST_CASE("CPUs are shared by weight, and what one does not want goes to the others") {
  std::vector<CpuShare> shares = {{1024, 2}, {2048, 2}, {1024, 0.1}};
  share_out(2, shares);
  CHECK(shares[2].given == Approx(0.1));
  CHECK(shares[0].given == Approx(1.9 / 3));
  CHECK(shares[1].given == Approx(1.9 * 2 / 3));
  shares = {{2, 1}, {262144, 0.5}};
  share_out(4, shares);
  CHECK(shares[0].given == Approx(1));
  CHECK(shares[1].given == Approx(0.5));
}

TEST_CASE("a CPU quota bounds the CPU time and the work") {
  Host host(domain_text(1, "dirty_rate = 4000"));
  ResourceLimits limits;
  limits.cpu_quota_millis = 400;
  REQUIRE(host.a.resources().set({kVm, limits}));
  check_holds([&] { return cpu_time(host.a, kVm); }, 400'000);
  limits.cpu_quota_millis = 0;
  REQUIRE(host.a.resources().set({kVm, limits}));
  check_reaches([&] { return cpu_time(host.a, kVm); }, 800'000);
}

TEST_CASE("a domain uses as much CPU as it has vCPUs, and its work stops with them") {
  Host host(with_maximum(2, domain_text(1, "dirty_rate = 4000")));
  REQUIRE(host.a.resources().set({kVm, {.vcpus = 1}}));
  CHECK(host.a.control().get({kVm})->vcpus == 1);
  CHECK(host.a.control().get({kVm})->vcpus_maximum == 2);
  CHECK(host.a.resources().get({kVm})->vcpus == 1u);
  CHECK(host.a.resources().get({kVm})->pins.size() == 1);
  check_holds([&] { return cpu_time(host.a, kVm); }, 1'000'000);
  REQUIRE(host.a.resources().set({kVm, {.vcpus = 2}}));
  check_reaches([&] { return cpu_time(host.a, kVm); }, 1'300'000);
}

TEST_CASE("a number of vCPUs that cannot be is refused, and changes nothing") {
  Host host(with_maximum(3, domain_text(1, "")));
  const auto refusal = [&](std::uint32_t vcpus) { return host.a.resources().set({kVm, {.vcpus = vcpus}}).error(); };
  CHECK(refusal(0).code == Code::invalid_argument);
  CHECK(refusal(4).code == Code::limit_exceeded);
  CHECK(refusal(4).message.find("4 vCPUs exceed the domain's maximum of 3") != std::string::npos);
  REQUIRE(host.a.control().pause({kVm}));
  CHECK(refusal(3).code == Code::wrong_state);
  CHECK(host.a.resources().set({kVm, {.vcpus = 2}}));
  REQUIRE(host.a.control().resume({kVm}));
  CHECK(host.a.control().get({kVm})->vcpus == 2);
  const auto pin = host.a.resources().set({kVm, {.pins = {{2, {0}}}}});
  CHECK(pin.error().code == Code::invalid_argument);
  CHECK(host.a.resources().set({kVm, {.pins = {{2, {0}}}, .vcpus = 3}}));
}

TEST_CASE("a vCPU that comes back has the pin that it had") {
  Host host(with_maximum(2, domain_text(1, "")));
  REQUIRE(host.a.resources().set({kVm, {.pins = {{1, {0}}}}}));
  REQUIRE(host.a.resources().set({kVm, {.vcpus = 1}}));
  REQUIRE(host.a.resources().set({kVm, {.vcpus = 2}}));
  CHECK(host.a.resources().get({kVm})->pins == std::vector<VcpuPin>{{0, {}}, {1, {0}}});
}

TEST_CASE("a changed number of vCPUs outlives the process, until the domain's file is edited") {
  Host host(with_maximum(4, domain_text(1, "")));
  REQUIRE(host.a.resources().set({kVm, {.vcpus = 4}}));
  host.a.stop();
  host.a.start();
  CHECK(host.a.control().get({kVm})->vcpus == 4);
  host.a.stop();
  host.a.file("vm-1", with_maximum(4, domain_text(1, ""), 3));
  host.a.start();
  CHECK(host.a.control().get({kVm})->vcpus == 3);
}

TEST_CASE("CPU weights divide a busy host") {
  Host host(domain_text(1, "dirty_rate = 10"));
  host.a.file("vm-2", domain_text(2, "dirty_rate = 10"));
  host.a.start();
  ResourceLimits limits;
  limits.cpu_weight = 3072;
  REQUIRE(host.a.resources().set({kVm, limits}));
  // Two CPUs: three quarters, and one. Measured at once, for they share.
  double first = 0;
  double second = 0;
  eventually([&] {
    std::thread other([&] { second = rate_of([&] { return cpu_time(host.a, uuid_of(2)); }); });
    first = rate_of([&] { return cpu_time(host.a, kVm); });
    other.join();
    CHECK(first < 1'500'000 * 1.15);
    CHECK(second < 500'000 * 1.15);
    return first > 1'500'000 * 0.3 && second > 500'000 * 0.3;
  });
  CHECK(first > 1'500'000 * 0.3);
  CHECK(second > 500'000 * 0.3);
}

TEST_CASE("what a vCPU wants and does not get is steal") {
  Host host(domain_text(1, "dirty_rate = 10"));
  const auto steal = [&] { return host.a.control().get({kVm})->cpu_steal.value().value; };
  ResourceLimits limits;
  limits.cpu_quota_millis = 400;
  REQUIRE(host.a.resources().set({kVm, limits}));
  const auto used_before = cpu_time(host.a, kVm);
  const auto steal_before = steal();
  REQUIRE(eventually([&] { return steal() > steal_before + 1'000'000; }));
  // Each of its vCPUs wants a whole CPU, and all of them get 0.4.
  const auto used = static_cast<double>(cpu_time(host.a, kVm) - used_before);
  const double wanted = host.a.control().get({kVm})->vcpus;
  CHECK(static_cast<double>(steal() - steal_before) / used == Approx((wanted - 0.4) / 0.4).epsilon(0.3));
}

TEST_CASE("a memory limit bounds the host memory of the domain, and is refused below what it has") {
  Host host(domain_text(1, "pattern = \"idle\"\nfill = 0.25"));
  ResourceLimits limits;
  limits.memory_limit = Bytes{1 << 20};
  const auto refused = host.a.resources().set({kVm, limits});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::limit_exceeded);
  CHECK(host.a.resources().get({kVm})->memory_limit == Bytes{0});
  limits.memory_limit = Bytes{3 << 20};
  REQUIRE(host.a.resources().set({kVm, limits}));

  // With the limit, a guest that fills all that it can get.
  host.a.stop();
  host.a.file("vm-1", domain_text(1, "dirty_rate = 50000\nfill = 0.25"));
  host.a.start();
  const auto bytes = [&] {
    const auto map = host.a.memory().map({kVm});
    struct stat status{};
    ::fstat(map->file.get(), &status);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  };
  CHECK(eventually([&] { return bytes() == 3u << 20; }));
  const auto tick = tick_of(host.a, kVm);
  REQUIRE(eventually([&] { return tick_of(host.a, kVm) > tick + 10; }));
  CHECK(bytes() == 3u << 20);
}

TEST_CASE("a pin moves the vCPU's thread") {
  Host host(domain_text(1, "dirty_rate = 10"));
  ResourceLimits limits;
  limits.pins = {{1, {0}}};
  REQUIRE(host.a.resources().set({kVm, limits}));
  CHECK(host.a.resources().get({kVm})->pins == std::vector<VcpuPin>{{0, {}}, {1, {0}}});
  // One thread of this process, and no other, is bound to CPU 0 alone.
  const auto bound = [] {
    int count = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      cpu_set_t set;
      CPU_ZERO(&set);
      ::sched_getaffinity(std::stoi(task.path().filename()), sizeof set, &set);
      if (CPU_COUNT(&set) == 1 && CPU_ISSET(0, &set)) ++count;
    }
    return count;
  };
  if (std::thread::hardware_concurrency() > 1) CHECK(bound() == 1);
  limits.pins = {{1, {}}};
  REQUIRE(host.a.resources().set({kVm, limits}));
  if (std::thread::hardware_concurrency() > 1) CHECK(bound() == 0);
}

TEST_CASE("a disk limit bounds bytes and operations") {
  Host host(domain_text(1, "pattern = \"idle\"", kDevices));
  const auto disk = [&] { return host.a.io().statistics({kVm})->disks.at(0); };
  check_reaches([&] { return disk().read.value; }, 8e6);
  REQUIRE(host.a.io().set_disk({kVm, {.target = "vda", .read = {4'000'000}, .write = {2'000'000}}}));
  CHECK(host.a.io().get({kVm})->disks.at(0).read.value == 4'000'000);
  check_holds([&] { return disk().read.value; }, 4e6);
  check_holds([&] { return disk().written.value; }, 2e6);
  REQUIRE(host.a.io().set_disk({kVm, {.target = "vda", .read_ops = {50}, .write_ops = {100}}}));
  check_holds([&] { return disk().read_ops; }, 50);
  check_holds([&] { return disk().write_ops; }, 100);
}

TEST_CASE("a NIC limit bounds both directions") {
  Host host(domain_text(1, "pattern = \"idle\"", kDevices));
  const auto nic = [&] { return host.a.io().statistics({kVm})->nics.at(0); };
  check_reaches([&] { return nic().read.value; }, 5e6);
  REQUIRE(host.a.io().set_nic({kVm, {"vm-1-0", {3'000'000}, {1'000'000}}}));
  check_holds([&] { return nic().read.value; }, 3e6);
  check_holds([&] { return nic().written.value; }, 1e6);
}

TEST_CASE("limits outlive the process") {
  Host host(domain_text(1, "dirty_rate = 10", kDevices));
  ResourceLimits limits;
  limits.cpu_quota_millis = 300;
  REQUIRE(host.a.resources().set({kVm, limits}));
  REQUIRE(host.a.io().set_disk({kVm, {.target = "vda", .read = {1000}, .read_burst = {2000}, .burst_seconds = 3}}));
  host.a.start();
  CHECK(host.a.resources().get({kVm})->cpu_quota_millis == 300u);
  CHECK(host.a.io().get({kVm})->disks.at(0) ==
        DiskLimit{.target = "vda", .read = {1000}, .read_burst = {2000}, .burst_seconds = 3});
}

TEST_CASE("a limit that the host cannot give is refused, and changes nothing") {
  Host host(domain_text(1, "dirty_rate = 10", kDevices));
  const auto before = wire::encode(*host.a.resources().get({kVm})) + wire::encode(*host.a.io().get({kVm}));
  const auto refused = [&](const ResourceLimits& limits) { return host.a.resources().set({kVm, limits}).error().code; };
  const auto refused_disk = [&](const DiskLimit& limit) { return host.a.io().set_disk({kVm, limit}).error().code; };
  CHECK(refused({.cpu_weight = 1}) == Code::limit_exceeded);
  CHECK(refused({.cpu_weight = 300000}) == Code::limit_exceeded);
  CHECK(refused({.cpu_quota_millis = 2001}) == Code::limit_exceeded);
  CHECK(refused({.memory_limit = Bytes{1000}}) == Code::limit_exceeded);
  CHECK(refused({.memory_limit = Bytes{UINT64_MAX}}) == Code::limit_exceeded);
  CHECK(refused({.pins = {{2, {0}}}}) == Code::invalid_argument);
  CHECK(refused({.pins = {{0, {1, 0}}}}) == Code::invalid_argument);
  CHECK(refused({.pins = {{0, {0, 0}}}}) == Code::invalid_argument);
  CHECK(refused({.pins = {{0, {2}}}}) == Code::limit_exceeded);
  // All or nothing: the first part alone would be fine.
  CHECK(refused({.cpu_weight = 2000, .pins = {{0, {99}}}}) == Code::limit_exceeded);
  CHECK(refused_disk({.target = "vdb"}) == Code::not_found);
  CHECK(refused_disk({.target = "vda", .read = {UINT64_MAX}}) == Code::limit_exceeded);
  CHECK(refused_disk({.target = "vda", .read_burst = {5}}) == Code::invalid_argument);
  CHECK(refused_disk({.target = "vda", .read = {5}, .read_burst = {4}}) == Code::invalid_argument);
  CHECK(refused_disk({.target = "vda", .burst_seconds = 4}) == Code::invalid_argument);
  CHECK(host.a.io().set_nic({kVm, {"none", {1}, {1}}}).error().code == Code::not_found);
  CHECK(host.a.io().set_nic({uuid_of(9), {"none", {1}, {1}}}).error().code == Code::not_found);
  CHECK(wire::encode(*host.a.resources().get({kVm})) + wire::encode(*host.a.io().get({kVm})) == before);
}
