#include "output.hpp"

#include <catch2/catch.hpp>

#include "context.hpp"
#include "exit.hpp"
#include "json.hpp"
#include "migration_report.hpp"

using namespace vmsec;
using namespace vmsec::cli;
using std::chrono::seconds;

TEST_CASE("every family of errors has its exit code") {
  CHECK(exit_of(Code::ok) == Exit::ok);
  CHECK(exit_of(Code::not_found) == Exit::mistake);
  CHECK(exit_of(Code::unavailable) == Exit::environment);
  CHECK(exit_of(Code::in_doubt) == Exit::in_doubt);
  CHECK(exit_of(Code::untrusted) == Exit::refused);
}

TEST_CASE("each error has a next step, and a known one its own") {
  const Context context;
  for (const auto code : {Code::invalid_argument, Code::not_found, Code::already_exists, Code::unsupported,
                          Code::wrong_state, Code::limit_exceeded, Code::unavailable, Code::timeout, Code::io,
                          Code::cancelled, Code::internal, Code::in_doubt, Code::denied, Code::revoked,
                          Code::unauthenticated, Code::untrusted, Code::tampered, Code::expired})
    CHECK_FALSE(advice_for(Error{code, "something", 0, {}}, context).empty());
  const auto next = [&](Code code, const char* message) { return advice_for(Error{code, message, 0, {}}, context); };
  CHECK(next(Code::untrusted, "load module a.so: nobody trusts key \"x\"").find("module trust add") !=
        std::string::npos);
  CHECK(next(Code::tampered, "open audit log /s/audit.log: line 3: x").find("audit verify") != std::string::npos);
  CHECK(next(Code::denied, "read trust store /t: others may write to it").find("module trust list") !=
        std::string::npos);
}

TEST_CASE("a migration's end gives its exit code") {
  MigrationStatus status;
  status.state = MigrationState::completed;
  CHECK(exit_of(status) == Exit::ok);
  status.state = MigrationState::in_doubt;
  CHECK(exit_of(status) == Exit::in_doubt);
  status.state = MigrationState::failed;
  status.code = Code::denied;
  CHECK(exit_of(status) == Exit::refused);
  status.code = Code::ok;  // failed without a cause is still no success
  CHECK(exit_of(status) == Exit::environment);
  status.state = MigrationState::lost;
  status.code = Code::internal;
  CHECK(exit_of(status) == Exit::environment);
  CHECK(has_ended(status.state));
  CHECK(runs_at(status, std::nullopt).starts_with("not at this host"));
  CHECK(runs_at(status, DomainState::running) == "this host, started anew");
  status.outgoing = true;
  status.peer = "host-b";
  status.state = MigrationState::following;
  CHECK_FALSE(has_ended(status.state));
  CHECK(runs_at(status, std::nullopt) == "host-b");
}

TEST_CASE("the progress line tells bytes, rate, dirty rate and time left") {
  ProgressMeter meter;
  MigrationStatus status;
  status.state = MigrationState::transferring;
  const ProgressMeter::Clock::time_point start(seconds(100));
  CHECK(meter.line(status, start).find("transferring ...") != std::string::npos);
  status.transfer.total = Bytes{100'000'000};
  status.transfer.remaining = Bytes{50'000'000};
  status.transfer.transferred = Bytes{50'000'000};
  status.transfer.dirty_rate = BytesPerSecond{10'000'000};
  const std::string line = meter.line(status, start + seconds(1));
  INFO(line);
  CHECK(line.find("50 MB/s") != std::string::npos);
  CHECK(line.find("dirty 10 MB/s") != std::string::npos);
  CHECK(line.find("left 1.25 s") != std::string::npos);
  CHECK(line.find("[############............]") != std::string::npos);
  status.transfer.dirty_rate = BytesPerSecond{90'000'000};
  CHECK(meter.line(status, start + seconds(1)).find("left -") != std::string::npos);
}

TEST_CASE("names from elsewhere do not steer the terminal") {
  CHECK(safe("web-1") == "web-1");
  CHECK(safe("a\033]0;title\007b\r\n") == "a\\x1b]0;title\\x07b\\x0d\\x0a");
  CHECK(safe("\033[31mred\033[0m") == "\033[31mred\033[0m");
  CHECK(safe("\033[2J\033[") == "\\x1b[2J\\x1b[");
  CHECK(safe("\033") == "\\x1b");
  CHECK(safe("a\xc2\x9b\x32Jb\xc2\x85") == "a\\xc29b2Jb\\xc285");
  CHECK(safe("\xc2\xa0") == "\xc2\xa0");
  CHECK(safe("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
}

TEST_CASE("JSON names enums, keeps text, and writes other bytes in hexadecimal") {
  DomainInfo info;
  info.name = "gr\xc3\xbc\xc3\x9f";
  info.state = DomainState::paused;
  info.tags = {std::string("\x01\xff", 2)};
  const Json json = to_json(info);
  CHECK(json["name"] == "gr\xc3\xbc\xc3\x9f");
  CHECK(json["state"] == "paused");
  CHECK(json["tags"][0] == "01ff");
  CHECK(json["memory"] == 0);
  for (const auto* bad : {"\xc3", "\xff", "a\xe2\x82", "\x1b"}) CHECK_FALSE(is_text(bad));
}
