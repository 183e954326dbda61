#include "real_host.hpp"

using namespace vmsec;
using namespace vmsec::kvm::test;

TEST_CASE("a CPU quota holds, over all vCPUs together") {
  if (!have_host()) return;
  Host host;
  const Guest guest(host, {.name = "quota", .command_line = "verify=0 cpu=1"});
  const auto cpu_time = [&] { return must(host.domains->get(guest.ref())).cpu_time.value; };
  for (const std::uint32_t millis : {200U, 50U}) {
    must(host.resources->set({guest.uuid, {.cpu_quota_millis = millis}}));
    CHECK(must(host.resources->get(guest.ref())).cpu_quota_millis == millis);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    const double used = per_second(4, cpu_time) / 1000;  // thousandths of a CPU
    WARN("CPU quota " << millis << " thousandths: " << used << " used");
    CHECK(used <= millis * 1.15 + 5);
  }
  must(host.resources->set({guest.uuid, {.cpu_quota_millis = 0}}));
  CHECK(must(host.resources->get(guest.ref())).cpu_quota_millis == 0);
  CHECK(eventually([&] { return per_second(0.5, cpu_time) / 1000 > 250; }));
}

TEST_CASE("two guests on one CPU steal from each other") {
  if (!have_host()) return;
  Host host;
  const Guest one(host, {.name = "one", .command_line = "verify=0 cpu=1"});
  const Guest two(host, {.name = "two", .command_line = "verify=0 cpu=1"});
  for (const auto* guest : {&one, &two}) must(host.resources->set({guest->uuid, {.pins = {{0, {0}}}}}));
  const auto steal = [&](const Guest& guest) { return must(host.domains->get(guest.ref())).cpu_steal.value().value; };
  const auto before_one = steal(one);
  const auto before_two = steal(two);
  CHECK(eventually([&] { return steal(one) > before_one + 500'000 && steal(two) > before_two + 500'000; }));
  must(host.domains->pause(one.ref()));
  const auto paused = steal(one);
  const auto runs = must(host.domains->get(two.ref())).cpu_time.value;
  REQUIRE(eventually([&] { return must(host.domains->get(two.ref())).cpu_time.value > runs + 300'000; }));
  CHECK(steal(one) - paused < 50'000);
}

TEST_CASE("limits are read back as they were set, and stay in the definition") {
  if (!have_host()) return;
  Host host;
  const Guest guest(host, {.name = "limits", .vcpus = 2, .persistent = true});
  const ResourceLimits wanted{
      .cpu_weight = 512, .cpu_quota_millis = 1500, .memory_limit = Bytes{512 << 20}, .pins = {{0, {1}}, {1, {0}}}};
  for (int i = 0; i < 2; ++i) must(host.resources->set({guest.uuid, wanted}));
  const ResourceLimits is = must(host.resources->get(guest.ref()));
  CHECK(is.cpu_weight == 512);
  CHECK(is.cpu_quota_millis == 1500);
  CHECK(is.memory_limit == Bytes{512 << 20});
  CHECK(is.pins == wanted.pins);
  const std::unique_ptr<char, decltype(&std::free)> text(virDomainGetXMLDesc(guest.handle(), VIR_DOMAIN_XML_INACTIVE),
                                                         &std::free);
  const std::string xml = text.get();
  CHECK(xml.find("<shares>512</shares>") != std::string::npos);
  CHECK(xml.find("<quota>75000</quota>") != std::string::npos);
  CHECK(xml.find("hard_limit") != std::string::npos);
  CHECK(xml.find("cpuset='1'") != std::string::npos);
  must(host.resources->set({guest.uuid, {.memory_limit = Bytes{0}, .pins = {{0, {}}}}}));
  const ResourceLimits after = must(host.resources->get(guest.ref()));
  CHECK(after.memory_limit == Bytes{0});
  CHECK(after.pins[0].cpus.empty());
  CHECK(after.pins[1].cpus == std::vector<std::uint32_t>{0});
  CHECK(after.cpu_weight == 512);
}

TEST_CASE("what the host cannot give is refused with its limit, and nothing is changed") {
  if (!have_host()) return;
  Host host;
  const HostResources sizes = must(host.resources->host({}));
  INFO(sizes.hypervisor);
  CHECK(sizes.hypervisor.starts_with("QEMU "));
  CHECK(sizes.hypervisor.find(" by libvirt ") != std::string::npos);
  const Guest guest(host, {.name = "beyond"});
  const ResourceLimits before = must(host.resources->get(guest.ref()));
  const auto refused = [&](const ResourceLimits& limits) { return refusal(host.resources->set({guest.uuid, limits})); };
  // The first value is possible, and must not be set when a later one is not.
  CHECK(refused({.cpu_weight = 512, .pins = {{0, {99}}}}).code == Code::limit_exceeded);
  const Error quota = refused({.cpu_weight = 512, .cpu_quota_millis = sizes.cpus * 1000 + 1});
  CHECK(quota.code == Code::limit_exceeded);
  CHECK(quota.message.find(std::to_string(sizes.cpus * 1000)) != std::string::npos);
  CHECK(refused({.memory_limit = Bytes{1 << 20}}).code == Code::limit_exceeded);
  CHECK(refused({.memory_limit = Bytes{sizes.memory.value + 1}}).code == Code::limit_exceeded);
  CHECK(refused({.cpu_weight = 1}).code == Code::limit_exceeded);
  CHECK(refused({.pins = {{7, {0}}}}).code == Code::invalid_argument);
  const ResourceLimits after = must(host.resources->get(guest.ref()));
  CHECK(after.cpu_weight == before.cpu_weight);
  CHECK(after.cpu_quota_millis == before.cpu_quota_millis);
  CHECK(after.memory_limit == before.memory_limit);
}
