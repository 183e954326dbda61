#include <catch2/catch.hpp>

#include "link/shape.hpp"

using namespace vmsec::link;

TEST_CASE("a rate is bytes a second, and unlimited is none") {
  CHECK(parse_rate("1Gbit").value() == 125'000'000);
  CHECK(parse_rate("2.5Gbit").value() == 312'500'000);
  CHECK(parse_rate("100Mbit").value() == 12'500'000);
  CHECK(parse_rate("unlimited").value() == 0);
}

TEST_CASE("what is no rate, time, share or number is refused and told what is wanted") {
  for (const char* text : {"", "1", "1Gb", "-1Gbit", "0Mbit", "500Gbit", "nanGbit", "1Gbit "}) {
    const auto parsed = parse_rate(text);
    INFO(text);
    REQUIRE(!parsed);
    CHECK(parsed.error().find("want a rate such as") != std::string::npos);
  }
  for (const char* text : {"", "10", "1s", "201ms", "-1ms", "infms"}) CHECK(!parse_time(text));
  for (const char* text : {"", "0.1", "11%", "-1%"}) CHECK(!parse_share(text));
  for (const char* text : {"", "-1", "1.5", "0x10", "99999999999999999999"}) CHECK(!parse_number(text));
}

TEST_CASE("times and shares have their ends") {
  CHECK(parse_time("250us").value() == Duration(250'000));
  CHECK(parse_time("200ms").value() == Duration(200'000'000));
  CHECK(parse_share("10%").value() == Approx(0.1));
}

TEST_CASE("a window holds what the link holds, and no link holds more than 256 MiB") {
  Shape shape;
  shape.rate = parse_rate("1Gbit").value();
  shape.delay = parse_time("10ms").value();
  CHECK(shape.window() > 125'000'000 / 50);
  CHECK(shape.window() < 8 << 20);
  shape.rate = parse_rate("100Gbit").value();
  shape.delay = parse_time("200ms").value();
  CHECK(shape.window() == 256 << 20);
}
