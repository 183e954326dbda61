#include <catch2/catch.hpp>

#include "disk_limits.hpp"
#include "nic_limits.hpp"

using namespace vmsec;
using namespace vmsec::kvm;

TEST_CASE("a disk's burst needs a rate below it and a length") {
  DiskLimit limit{.target = "vda", .read = {1000}, .read_burst = {2000}, .burst_seconds = 5};
  CHECK(check_disk_limit(limit, "x"));
  limit.burst_seconds = 0;
  CHECK(check_disk_limit(limit, "x").error().code == Code::invalid_argument);
  limit.burst_seconds = 5;
  limit.read_burst = {1000};
  CHECK(check_disk_limit(limit, "x").error().code == Code::invalid_argument);
  limit.read = {0};
  CHECK(check_disk_limit(limit, "x").error().code == Code::invalid_argument);
}

TEST_CASE("a rate beyond QEMU's largest is refused with that") {
  const auto refused =
      check_disk_limit({.target = "vda", .write = {1'000'000'000'000'001}}, "set I/O limit on web-1/vda");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::limit_exceeded);
  CHECK(refused.error().message.find("1000000000000000") != std::string::npos);
  const auto burst =
      check_disk_limit({.target = "vda", .read = {1}, .read_burst = {999'999'999'999'999}, .burst_seconds = 1000}, "x");
  CHECK(burst.error().code == Code::limit_exceeded);
}

TEST_CASE("a NIC's name and rates are checked before anything is done with them") {
  CHECK(check_nic_limit({"tap0", {1'000'000}, {0}}, "x"));
  CHECK(check_nic_limit({"tap0; reboot", {1'000'000}, {0}}, "x").error().code == Code::invalid_argument);
  CHECK(check_nic_limit({"tap0", {1}, {0}}, "x").error().code == Code::limit_exceeded);
  CHECK(check_nic_limit({"tap0", {0}, {~std::uint64_t{0}}}, "x").error().code == Code::limit_exceeded);
}
