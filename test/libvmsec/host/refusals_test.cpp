#include "host/refusals.hpp"

#include <catch2/catch.hpp>
#include <vector>

namespace vmsec::test {
namespace {

using namespace host;
using std::chrono::seconds;

struct Told {
  Told() {
    limits.of_one = 3;
    limits.pause_of_one = seconds(60);
    limits.of_all = 10;
    limits.pause_of_all = seconds(10);
    limits.remembered = 4;
    refusals = std::make_unique<Refusals>([this](const AuditEntry& entry) { records.push_back(entry); }, limits,
                                          [this] { return now; });
  }
  void tell(const std::string& who, int times = 1) {
    for (int i = 0; i < times; ++i) refusals->tell(who, {"peer.refuse", Outcome::refused, {}, who, "no TLS"});
  }
  RefusalLimits limits;
  Refusals::Time now{seconds(1000)};
  std::vector<AuditEntry> records;
  std::unique_ptr<Refusals> refusals;
};

}  // namespace

TEST_CASE("the first refusals of an address are on record each, then one for each pause with a count") {
  Told told;
  told.tell("192.0.2.1", 100);
  REQUIRE(told.records.size() == 3);
  CHECK(told.records[2].detail == "no TLS");
  told.now += seconds(60);
  told.tell("192.0.2.1", 100);
  REQUIRE(told.records.size() == 4);
  CHECK(told.records[3].detail == "no TLS (97 refusals before were only counted)");
}

TEST_CASE("one address's crowd does not hide another's refusal") {
  Told told;
  told.tell("192.0.2.1", 100);
  told.tell("host-b");
  REQUIRE(told.records.size() == 4);
  CHECK(told.records[3].peer == "host-b");
}

TEST_CASE("many addresses together are bounded, and their number takes no memory") {
  Told told;
  for (int i = 0; i < 10000; ++i) told.tell("2001:db8::" + std::to_string(i));
  CHECK(told.records.size() <= 10);
  told.now += seconds(3600);
  told.tell("192.0.2.1");
  CHECK(told.records.back().peer == "192.0.2.1");  // the crowd is forgotten
}

TEST_CASE("what was only counted is written at the end") {
  Told told;
  told.tell("192.0.2.1", 5);
  told.refusals.reset();
  REQUIRE(told.records.size() == 4);
  CHECK(told.records[3].outcome == Outcome::refused);
  CHECK(told.records[3].detail == "2 refusals before were only counted");
}

}  // namespace vmsec::test
