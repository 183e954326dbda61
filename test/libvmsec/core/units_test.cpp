#include "vmsec/units.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "vmsec/section.hpp"

namespace vmsec {
namespace {

using namespace std::string_literals;

TEST_CASE("units: what people write is read exactly") {
  CHECK(parse_rate("20 MB/s")->value == 20'000'000);
  CHECK(parse_rate("20MB/s")->value == 20'000'000);
  CHECK(parse_rate("5 MiB/s")->value == 5'242'880);
  CHECK(parse_rate("80 Mbit/s")->value == 10'000'000);
  CHECK(parse_rate("1.5 GB/s")->value == 1'500'000'000);
  CHECK(parse_rate("0 B/s")->value == 0);
  CHECK(parse_ops("500 ops/s")->value == 500);
  CHECK(parse_size("256 MiB")->value == 256u << 20);
  CHECK(parse_size("9223372036854775807 B")->value == 9223372036854775807u);
  CHECK(parse_percent("20%")->value == 200);
  CHECK(parse_percent("0.5%")->value == 5);
  CHECK(parse_percent("150%")->value == 1500);
  CHECK(parse_duration("5 s")->value == 5'000'000);
  CHECK(parse_duration("250 ms")->value == 250'000);
  CHECK(parse_duration("2 min")->value == 120'000'000);
}

TEST_CASE("units: the shortest exact form is printed") {
  CHECK(to_text(BytesPerSecond{20'000'000}) == "20 MB/s");
  CHECK(to_text(BytesPerSecond{5'242'880}) == "5 MiB/s");
  CHECK(to_text(BytesPerSecond{1'500'000'000}) == "1.5 GB/s");
  CHECK(to_text(BytesPerSecond{0}) == "0 B/s");
  CHECK(to_text(BytesPerSecond{1'234'567}) == "1234567 B/s");
  CHECK(to_text(OpsPerSecond{500}) == "500 ops/s");
  CHECK(to_text(Bytes{512u << 20}) == "512 MiB");
  CHECK(to_text(PerMille{1500}) == "150%");
  CHECK(to_text(PerMille{5}) == "0.5%");
  CHECK(to_text(Microseconds{5'000'000}) == "5 s");
}

TEST_CASE("units: each printed form reads back as the same value") {
  std::mt19937_64 random(7);
  for (int i = 0; i < 2000; ++i) {
    const std::uint64_t value = (random() >> 1) >> (random() % 63);
    INFO(value);
    CHECK(parse_rate(to_text(BytesPerSecond{value})).value_or(BytesPerSecond{~0ull}).value == value);
    CHECK(parse_size(to_text(Bytes{value})).value_or(Bytes{~0ull}).value == value);
    CHECK(parse_duration(to_text(Microseconds{value})).value_or(Microseconds{~0ull}).value == value);
    CHECK(parse_percent(to_text(PerMille{value / 10})).value_or(PerMille{~0ull}).value == value / 10);
    CHECK(parse_ops(to_text(OpsPerSecond{value / 1000})).value_or(OpsPerSecond{~0ull}).value == value / 1000);
  }
}

TEST_CASE("units: each bad value is an error that names cause and units") {
  struct Bad {
    std::string text;
    const char* cause;
  };
  const Bad table[] = {{"", "it is empty"},
                       {"20", "the unit is missing"},
                       {"20 ", "the unit is missing"},
                       {"20 MB", "unknown unit \"MB\""},
                       {"20 mb/s", "unknown unit \"mb/s\""},
                       {"20 MB/S", "unknown unit \"MB/S\""},
                       {"20 MB/s ", "unknown unit \"MB/s \""},
                       {"20  MB/s", "unknown unit \" MB/s\""},
                       {"20 ops/s", "unknown unit \"ops/s\""},
                       {"20%", "unknown unit \"%\""},
                       {"-5 MB/s", "it is negative"},
                       {"+5 MB/s", "it does not begin with a number"},
                       {" 5 MB/s", "it does not begin with a number"},
                       {"MB/s", "it does not begin with a number"},
                       {".5 MB/s", "it does not begin with a number"},
                       {"5. MB/s", "no digit follows the point"},
                       {"5.1234 MB/s", "more than three digits"},
                       {"0.1 B/s", "not a whole number"},
                       {"1 bit/s", "not a whole number"},
                       {"1e3 B/s", "unknown unit \"e3 B/s\""},
                       {"0x10 B/s", "unknown unit \"x10 B/s\""},
                       {"9223372036854775808 B/s", "it is too large"},
                       {"99999999999999999999999 GB/s", "it is too large"},
                       {"9300000000 GB/s", "it is too large"},
                       {"20 MB/s\0"s, "it has a NUL"},
                       {"20\0 MB/s"s, "it has a NUL"},
                       {"20 \xc2\xb5"s, "unknown unit"},
                       {std::string(100'000, '9') + " B/s", "it is too large"}};
  for (const Bad& bad : table) {
    INFO(bad.text.substr(0, 80));
    const auto rate = parse_rate(bad.text);
    REQUIRE_FALSE(rate);
    CHECK(rate.error().code == Code::invalid_argument);
    CHECK_THAT(rate.error().message, Catch::Contains(bad.cause) && Catch::Contains("want a number and B/s"));
    CHECK(rate.error().message.size() < 400);
    CHECK(rate.error().message.find('\0') == std::string::npos);
  }
}

TEST_CASE("units: rounding by at most 1 % is equal, and unlimited equals itself only") {
  CHECK(nearly_equal(100, 100));
  CHECK(nearly_equal(9'999'360, 10'000'000));  // 10 MB/s as whole KiB/s
  CHECK(nearly_equal(990, 1000));
  CHECK_FALSE(nearly_equal(989, 1000));
  CHECK_FALSE(nearly_equal(1011, 1000));
  CHECK(nearly_equal(0, 0));
  CHECK_FALSE(nearly_equal(0, 1));
  CHECK_FALSE(nearly_equal(1, 0));
  CHECK_FALSE(nearly_equal(0, 1000));
}

TEST_CASE("setting paths: what is joined is split again") {
  const std::vector<std::vector<std::string>> paths = {
      {"a"}, {"disk", "vda", "read"}, {"nic", "tap.0", "receive"}, {"x", "", "y"}, {"a\"b", "c\\d", "e.f"}, {"*"}};
  for (const auto& parts : paths) {
    std::string path;
    for (const auto& part : parts) path = setting_path::child(path, part);
    INFO(path);
    const auto back = setting_path::split(path);
    REQUIRE(back);
    CHECK(*back == parts);
  }
  CHECK(setting_path::child("disk", "vda") == "disk.vda");
  CHECK(setting_path::child("nic", "tap.0") == "nic.\"tap.0\"");
  CHECK(setting_path::element("peer", 1) == "peer[1]");
  CHECK_FALSE(setting_path::split("a.\"b"));
  CHECK_FALSE(setting_path::split("a.\"b\\"));
}

}  // namespace
}  // namespace vmsec
