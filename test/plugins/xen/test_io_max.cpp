#include <catch2/catch.hpp>

#include "io_max.hpp"

using namespace vmsec;
using namespace vmsec::xen;

TEST_CASE("a disk's limits become a line of io.max, and come back") {
  DiskLimit limit;
  limit.read.value = 5'000'000;
  limit.write_ops.value = 20;
  const std::string line = format_io_max("7:0", limit);
  CHECK(line == "7:0 rbps=5000000 wbps=max riops=max wiops=20");
  const auto back = parse_io_max("8:16 rbps=1 wbps=2 riops=3 wiops=4\n" + line + "\n", "7:0");
  REQUIRE(back);
  CHECK(back->read.value == 5'000'000);
  CHECK(back->write.value == 0);
  CHECK(back->read_ops.value == 0);
  CHECK(back->write_ops.value == 20);
}

TEST_CASE("a device that io.max does not name has no limit") {
  const auto none = parse_io_max("8:16 rbps=1 wbps=2 riops=3 wiops=4\n", "7:0");
  REQUIRE(none);
  CHECK(none->read.value == 0);
}

TEST_CASE("what is no line of io.max is said") {
  for (const char* text : {"7:0 rbps\n", "7:0 rbps=-1\n", "7:0 rbps=1x\n", "7:0 wiops=99999999999999999999\n"}) {
    INFO(text);
    const auto read = parse_io_max(text, "7:0");
    REQUIRE_FALSE(read);
    CHECK(read.error().code == Code::io);
  }
}
