#include "libvmsec/audit/log_fixture.hpp"

namespace vmsec::test {

TEST_CASE("times are UTC with microseconds") {
  CHECK(audit_time(Microseconds{0}) == "1970-01-01T00:00:00.000000Z");
  CHECK(audit_time(Microseconds{1'800'000'000'000'001}) == "2027-01-15T08:00:00.000001Z");
}

TEST_CASE("a record's line reads back as it was, whatever its texts hold") {
  Logged logged;
  const auto log = good(logged.open());
  const std::string text = GENERATE(as<std::string>{}, "plain", "", "\"quoted\" \\ back", "line\nfeed\ttab", "\x01\x7f",
                                    "k\xc3\xb6nnen \xe2\x82\xac", "},\"hash\":\"x\"");
  good(log->append("module", Logged::entry(text)));
  const auto records = good(read_audit(logged.file()));
  REQUIRE(records.size() == 1);
  CHECK(records[0].entry.detail == text);
  CHECK(records[0].entry.domain == Logged::entry("").domain);
  CHECK(records[0].module == "module");
  CHECK(audit_line(records[0]) == logged.lines()[1]);
  CHECK(good(parse_audit_line(logged.lines()[1])).hash == records[0].hash);
}

TEST_CASE("texts that are no UTF-8 or too long are cut to what a line may hold") {
  Logged logged;
  const auto log = good(logged.open());
  good(log->append("m", Logged::entry("bad \xff.\xc3(\xed.\xa0")));
  good(log->append("m", Logged::entry(std::string(kMaxAuditDetail, '\x01') + "more")));
  good(log->append(std::string(1000, 'm'), Logged::entry(std::string(kMaxAuditDetail - 1, 'x') + "\xc3\xb6")));
  const auto records = good(read_audit(logged.file()));
  REQUIRE(records.size() == 3);
  CHECK(records[0].entry.detail == "bad ?.?(?.?");
  CHECK(records[1].entry.detail.size() == kMaxAuditDetail);
  CHECK_THAT(records[1].entry.detail, Catch::EndsWith(" [cut]"));
  CHECK(records[2].module.size() == 64);
  CHECK(logged.verify().good());
}

TEST_CASE("no cut, no flipped bit and no other spelling of a line is a record") {
  Logged logged;
  logged.fill(1);
  for (const auto& line : logged.lines()) {
    REQUIRE(parse_audit_line(line));
    for (std::size_t size = 0; size < line.size(); ++size)
      CHECK(code_of(parse_audit_line(line.substr(0, size))) == Code::invalid_argument);
    for (std::size_t bit = 0; bit < 8 * line.size(); ++bit) {
      std::string changed = line;
      changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
      CHECK(code_of(parse_audit_line(changed)) != Code::ok);
    }
    CHECK_FALSE(parse_audit_line(line + " "));
    CHECK_FALSE(parse_audit_line(" " + line));
    CHECK_FALSE(parse_audit_line(line + "\n"));
    CHECK_FALSE(parse_audit_line(line + std::string(1, '\0')));
    CHECK_FALSE(parse_audit_line(line.substr(0, 7) + "0" + line.substr(7)));  // a leading zero
  }
  CHECK(code_of(parse_audit_line(std::string(1 << 20, 'x'))) == Code::invalid_argument);
}

}  // namespace vmsec::test
