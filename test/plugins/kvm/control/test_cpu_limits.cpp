#include <catch2/catch.hpp>

#include "cpu_limits.hpp"
#include "vcpu_pins.hpp"

using namespace vmsec;
using namespace vmsec::kvm;

TEST_CASE("a quota is divided among the vCPUs, and read back as it was set") {
  CHECK(bandwidth_of(200, 1, "x") == CpuBandwidth{100'000, 20'000});
  CHECK(bandwidth_of(1500, 2, "x") == CpuBandwidth{100'000, 75'000});
  CHECK(bandwidth_of(0, 4, "x")->quota < 0);
  for (const std::uint32_t vcpus : {1U, 2U, 3U, 7U, 16U}) {
    for (const std::uint32_t millis : {20U, 200U, 999U, 1500U, 16'000U}) {
      const auto each = bandwidth_of(millis, vcpus, "x");
      REQUIRE(each);
      CHECK(millis_of(*each, vcpus) == millis);
      // Never more than was asked for.
      CHECK(static_cast<std::uint64_t>(each->quota) * vcpus * 1000 <= std::uint64_t{millis} * each->period);
    }
  }
}

TEST_CASE("a small quota gets a long period; one below the kernel's least is refused") {
  CHECK(bandwidth_of(5, 1, "x") == CpuBandwidth{1'000'000, 5'000});
  CHECK(bandwidth_of(1, 1, "x") == CpuBandwidth{1'000'000, 1'000});
  const auto refused = bandwidth_of(1, 2, "x");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::limit_exceeded);
}

TEST_CASE("libvirt's ways to say unlimited are 0") {
  CHECK(millis_of({100'000, -1}, 1) == 0);
  CHECK(millis_of({100'000, 0}, 1) == 0);
  CHECK(millis_of({100'000, kUnlimitedQuota}, 1) == 0);
  CHECK(millis_of({0, 5'000}, 1) == 0);
  CHECK(tighter(0, 0) == 0);
  CHECK(tighter(0, 200) == 200);
  CHECK(tighter(500, 200) == 200);
}

TEST_CASE("the usual weight is 1024 in both versions of cgroups") {
  CHECK(shares_of(1024, CgroupVersion::v1) == 1024);
  CHECK(shares_of(1024, CgroupVersion::v2) == 100);
  CHECK(weight_of(100, CgroupVersion::v2) == 1024);
  for (const std::uint32_t weight : {256U, 512U, 1024U, 2048U, 4096U})
    CHECK(weight_of(shares_of(weight, CgroupVersion::v2), CgroupVersion::v2) == weight);
}

TEST_CASE("a pin's CPUs become a bit map and back; all of them are none in particular") {
  const auto map = cpu_map_of({0, 9}, 12);
  REQUIRE(map.size() == 2);
  CHECK(map[0] == 1);
  CHECK(map[1] == 2);
  CHECK(cpus_of(map.data(), map.size(), 12) == std::vector<std::uint32_t>{0, 9});
  const auto all = cpu_map_of({}, 12);
  CHECK(cpus_of(all.data(), all.size(), 12).empty());
  CHECK(cpu_map_of({0, 1}, 2) == cpu_map_of({}, 2));
}

TEST_CASE("a pin beyond the host or the domain is refused with the limit") {
  CHECK(check_pin({0, {0, 1}}, 1, 2, "x"));
  const auto host = check_pin({0, {99}}, 1, 2, "x");
  REQUIRE_FALSE(host);
  CHECK(host.error().code == Code::limit_exceeded);
  CHECK(host.error().message.find("2 CPUs") != std::string::npos);
  CHECK(check_pin({1, {0}}, 1, 2, "x").error().code == Code::invalid_argument);
  CHECK(check_pin({0, {1, 0}}, 1, 2, "x").error().code == Code::invalid_argument);
  CHECK(check_pin({0, {1, 1}}, 1, 2, "x").error().code == Code::invalid_argument);
}
