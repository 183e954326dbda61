#include "evidence/reference.hpp"

#include <catch2/catch.hpp>

#include "event_logs.hpp"

namespace vmsec::boot::test {
namespace {

const std::string kHex(64, 'a');

std::string entry(int pcr) { return "[pcr." + std::to_string(pcr) + "]\nvalues = [\"" + kHex + "\"]\n"; }

std::string firmware() {
  std::string text;
  for (int pcr = 0; pcr < 8; ++pcr) text += entry(pcr);
  return text;
}

struct BadReference {
  std::string text;
  std::string where;  // line:column
  std::string cause;
};

std::vector<BadReference> bad_references() {
  return {
      {"", "1:1", "nothing is said about PCR 0,1,2,3,4,5,6,7;"},
      {entry(0), "1:1", "nothing is said about PCR 1,2,3,4,5,6,7;"},
      {"pcrs = [0, 1]\n" + entry(0), "1:1", "nothing is said about PCR 1, which pcrs lists"},
      {"pcrs = [0]\n" + entry(0) + entry(1), "1:1", "PCR 1 has a table, and pcrs does not list it"},
      {"pcrs = [0, 0]\n" + entry(0), "1:12", "PCR 0 is listed twice"},
      {"pcrs = [24]\n", "1:9", "want PCR numbers, 0 to 23"},
      {"pcrs = [-1]\n", "1:9", "want PCR numbers, 0 to 23"},
      {"pcrs = [\"0\"]\n", "1:9", "want PCR numbers, 0 to 23"},
      {"pcrs = []\n", "1:8", "the list is empty"},
      {"pcrs = 0\n", "1:8", "want a list"},
      {"version = 2\n", "1:11", "version: want 1"},
      {"version = \"1\"\n", "1:11", "version: want 1"},
      {"version = 1.0\n", "1:12", "the end of the line"},
      {"colour = 1\n", "1:1", "unknown key \"colour\""},
      {"[pcr.0]\nvalue = [\"" + kHex + "\"]\n", "2:1", "unknown key \"value\""},
      {"[pcr.24]\nvalues = [\"" + kHex + "\"]\n", "1:6", "[pcr.24]"},
      {"[pcr.00]\nvalues = [\"" + kHex + "\"]\n", "1:6", "without leading zeros"},
      {"[pcr.x]\nvalues = [\"" + kHex + "\"]\n", "1:6", "[pcr.x]"},
      {"[pcr.-1]\nvalues = [\"" + kHex + "\"]\n", "1:6", "[pcr.-1]"},
      {entry(0) + entry(0), "3:6", "[pcr.0]: it is there twice"},
      {"pcr.0.values = [\"" + kHex + "\"]\n" + entry(0), "2:6", "[pcr.0]: it is there twice"},
      {entry(0) + "values = [\"" + kHex + "\"]\n", "3:1", "pcr.0.values: it is set twice"},
      {"version = 1\nversion = 1\n", "2:1", "version: it is set twice"},
      {"[pcr]\n", "1:2", "unknown table"},
      {"[vm.0]\n", "1:2", "unknown table"},
      {"version = 01\n", "1:12", "leading zero"},
      {"version = 1 2\n", "1:13", "'2', where the end of the line should be"},
      {"version = {}\n", "1:11", "where an integer, a text or a list should be"},
      {"pcrs = [1 2]\n", "1:11", "where ',' or ']' should be"},
      {"pcrs = [[1]]\n", "1:9", "where an integer"},
      {"version =\n", "1:10", "the line ends, where an integer"},
      {"pcrs = [\n1,\n", "3:1", "the file ends, where an integer"},
      {"[pcr.0]\nvalues = [\"aa\n\"]\n", "2:14", "the line ends, where the text's end should be"},
      {"[pcr.0]\nvalues = [\"\\u0041\"]\n", "2:12", "escapes"},
      {"version = 1\r \n", "1:12", "no printable ASCII"},
      {"[pcr.0]\n", "1:6", "neither values nor events"},
      {"[pcr.0]\nvalues = []\n", "2:10", "the list is empty"},
      {"[pcr.0]\nvalues = \"" + kHex + "\"\n", "2:10", "want a list"},
      {"[pcr.0]\nvalues = [1]\n", "2:11", "want texts of 64 hexadecimal digits"},
      {"[pcr.0]\nvalues = [\"" + kHex.substr(1) + "\"]\n", "2:11", "63 hexadecimal digits, want 64"},
      {"[pcr.0]\nvalues = [\"" + kHex + "aa\"]\n", "2:11", "66 hexadecimal digits, want 64"},
      {"[pcr.0]\nvalues = [\"" + kHex.substr(1) + "g\"]\n", "2:11", "not hexadecimal"},
      {"[pcr.0]\nevents = [\"\"]\n", "2:11", "0 hexadecimal digits"},
      {"pcr = 3\n", "1:1", "unknown key \"pcr\""},
      {"pcr.0 = 3\n", "1:5", "unknown key \"0\": want values, events or sequence"},
      {"[pcr.0\n", "1:7", "the line ends, where the table's ']' should be"},
      {"values = [\n", "2:1", "the file ends"},
      {"a" + std::string(100, '.') + "\n", "1:3", "'.', where a key"},
      {std::string("version\0= 1", 11), "1:8", "no printable ASCII"},
      {"version = 1\n\xff\xfe = 2\n", "2:1", "a byte that is no printable ASCII"},
      {"pcrs = [\xcc\xa3\n", "1:9", "a byte that is no printable ASCII"},
      {std::string(kMaxReferenceBytes + 1, '\n'), "1:1", "more than 1048576 bytes"},
  };
}

}  // namespace

TEST_CASE("a reference for the firmware's PCRs is accepted") {
  const auto reference = parse_reference("version = 1\n" + firmware() + entry(9), "ref");
  REQUIRE(reference);
  CHECK(reference->mask() == kUsualPcrs);
  CHECK(reference->pcrs.at(3).values == std::vector{std::string(32, '\xaa')});
}

TEST_CASE("a reference may cover fewer PCRs when it says so") {
  const auto reference = parse_reference("pcrs = [4]\n" + entry(4), "ref");
  REQUIRE(reference);
  CHECK(reference->mask() == PcrMask{0x10});
}

TEST_CASE("a bad reference is an error with line and column") {
  const auto all = bad_references();
  CHECK(all.size() >= 35);
  for (const auto& bad : all) {
    INFO(bad.text.substr(0, 200));
    const auto reference = parse_reference(bad.text, "ref.toml");
    REQUIRE_FALSE(reference);
    INFO(reference.error().message);
    CHECK(reference.error().code == Code::invalid_argument);
    CHECK(reference.error().message.starts_with("reference ref.toml:" + bad.where));
    CHECK(reference.error().message.find(bad.cause) != std::string::npos);
  }
}

TEST_CASE("what was learned from a boot is satisfied by that boot") {
  const auto log = ovmf_log();
  const auto replayed = replay(log);
  REQUIRE(replayed);
  const auto text = write_reference(*replayed, kUsualPcrs, "host-a");
  const auto reference = parse_reference(text, "learned");
  REQUIRE(reference);
  const auto comparison = compare(*reference, *replayed);
  CHECK(comparison.cause.empty());
  REQUIRE(comparison.pcrs.size() == 9);
  for (const auto& row : comparison.pcrs) CHECK(row.expected);
}

TEST_CASE("the first event that differs is named") {
  const auto then = replay(header() + sha256_event(4, 0x80000003, 1) + sha256_event(4, 4, 2));
  const auto now = replay(header() + sha256_event(4, 0x80000003, 9) + sha256_event(4, 4, 2));
  const auto& was = then->values;
  const auto& is = now->values;
  const auto reference = parse_reference(write_reference(*then, PcrMask{0x10}, "h"), "ref");
  REQUIRE(reference);
  const auto comparison = compare(*reference, *now);
  CHECK(comparison.cause == "PCR 4 is " + to_hex(is[4]) + ", the reference says " + to_hex(was[4]) +
                                "; first differing event 1 EV_EFI_BOOT_SERVICES_APPLICATION digest " +
                                to_hex(std::string(32, 9)));
  CHECK_FALSE(comparison.pcrs[0].expected);
  CHECK(comparison.pcrs[0].reference == to_hex(was[4]));
}

TEST_CASE("events in another order, or one of them left out, are not the boot that was learned") {
  const auto learned = replay(header() + sha256_event(4, 8, 1) + sha256_event(4, 4, 2));
  const auto reference = parse_reference(write_reference(*learned, PcrMask{0x10}, "h"), "ref");
  for (const auto& log : {header() + sha256_event(4, 4, 2) + sha256_event(4, 8, 1), header() + sha256_event(4, 8, 1)}) {
    const auto other = replay(log);
    const auto comparison = compare(*reference, *other);
    CHECK(comparison.cause.find("each of its events is known, but not in this order or number") != std::string::npos);
  }
}

TEST_CASE("a list of events allows those events and no others") {
  const auto reference =
      parse_reference("pcrs = [4]\n[pcr.4]\nevents = [\"" + to_hex(std::string(32, 1)) + "\"]\n", "ref");
  REQUIRE(reference);
  const auto cause = [&](const std::string& log) {
    const auto replayed = replay(log);
    return compare(*reference, *replayed).cause;
  };
  CHECK(cause(header() + sha256_event(4, 8, 1)).empty());
  CHECK(cause(header() + sha256_event(4, 8, 1) + sha256_event(4, 8, 3))
            .find("first differing event 2 EV_S_CRTM_VERSION") != std::string::npos);
  CHECK(cause(header()).find("nothing was measured into it") != std::string::npos);
}

TEST_CASE("any of the allowed values will do, a reference with one digit changed will not") {
  const auto replayed = replay(ovmf_log());
  const auto& values = replayed->values;
  const std::string value = to_hex(values[7]);
  const auto accepts = [&](const std::string& list) {
    const auto reference = parse_reference("pcrs = [7]\n[pcr.7]\nvalues = [" + list + "]\n", "ref");
    return compare(*reference, *replayed).cause.empty();
  };
  CHECK(accepts("\"" + kHex + "\", \"" + value + "\""));
  for (std::size_t i = 0; i < value.size(); ++i) {
    std::string changed = value;
    changed[i] = changed[i] == '0' ? '1' : '0';
    REQUIRE_FALSE(accepts("\"" + changed + "\""));
  }
}

}  // namespace vmsec::boot::test
