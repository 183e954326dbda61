#include <catch2/catch.hpp>

#include "scheduler_units.hpp"

using namespace vmsec;
using namespace vmsec::xen;

TEST_CASE("the usual weight is Xen's usual weight") {
  CHECK(to_xen_weight(1024) == 256);
  CHECK(from_xen_weight(256) == 1024);
  CHECK(from_xen_weight(0) == 0);
}

TEST_CASE("a quota keeps to the next hundredth of a CPU, and is never rounded to none") {
  CHECK(to_xen_cap(0) == 0);
  CHECK(to_xen_cap(1) == 1);
  CHECK(to_xen_cap(300) == 30);
  CHECK(to_xen_cap(305) == 31);
  CHECK(from_xen_cap(30) == 300);
  CHECK(from_xen_cap(0) == 0);
}

TEST_CASE("what Xen or the host has not is refused") {
  CHECK(check_weight(2, "set"));
  CHECK(check_weight(1, "set").error().code == Code::limit_exceeded);
  CHECK(check_weight(65535 * 4, "set"));
  CHECK(check_weight(65536 * 4, "set").error().code == Code::limit_exceeded);
  CHECK(check_quota(2000, 2, "set"));
  const Status over = check_quota(2001, 2, "set");
  REQUIRE_FALSE(over);
  CHECK(over.error().code == Code::limit_exceeded);
  CHECK(over.error().message.find("exceeds the host's 2 CPUs") != std::string::npos);
}
