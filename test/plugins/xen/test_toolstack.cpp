#include <unistd.h>

#include <catch2/catch.hpp>

#include "toolstack.hpp"

using namespace vmsec;
using namespace vmsec::xen;

// In dom0 the testbed passes the conformance suite instead.
TEST_CASE("where there is no Xen, the plugin says so and what to do") {
  if (::access("/proc/xen/capabilities", F_OK) == 0) {
    WARN("skipped: this machine runs Xen");
    return;
  }
  const auto toolstack = Toolstack::open();
  REQUIRE_FALSE(toolstack);
  CHECK(toolstack.error().code == Code::unsupported);
  CHECK(toolstack.error().message.find("/proc/xen/capabilities is not there") != std::string::npos);
  CHECK(toolstack.error().message.find("boot it under Xen") != std::string::npos);
}
