#include "host/record_limiter.hpp"

#include <catch2/catch.hpp>

#include "libvmsec/host/fake_backend.hpp"

namespace vmsec::test {
namespace {

using namespace host;
using std::chrono::seconds;

struct Told {
  Told() {
    limits.kinds = 4;
    limits.burst = 3;
    limits.counted_kinds = 2;
    limits.callers = 8;
    limits.strangers = 4;
    limits.of_strangers = 6;
    limits.pause_of_strangers = seconds(10);
    limiter = std::make_unique<RecordLimiter>(
        [this](const std::string& module, const AuditEntry& entry) { records.emplace_back(module, entry); }, limits,
        [this] { return now; });
  }
  void tell(const std::string& kind, int times = 1, unsigned vm = 1, const std::string& who = "scanner") {
    for (int i = 0; i < times; ++i)
      limiter->tell({who, Standing::known, kind, uuid_of(vm), who},
                    {"grant.refuse", Outcome::refused, uuid_of(vm), {}, kind + ": not granted"});
  }
  void tell_stranger(const std::string& address, int times = 1) {
    for (int i = 0; i < times; ++i)
      limiter->tell({address, Standing::stranger, "peer.refuse", {}, "core"},
                    {"peer.refuse", Outcome::refused, {}, address, "no TLS"});
  }
  [[nodiscard]] const std::string& last() const { return records.back().second.detail; }

  RecordLimits limits;
  RecordLimiter::Time now{seconds(1000)};
  std::vector<std::pair<std::string, AuditEntry>> records;
  std::unique_ptr<RecordLimiter> limiter;
};

}  // namespace

TEST_CASE("a module that is refused in a loop writes a handful of records, and the count of the rest") {
  Told told;
  told.tell("vmsec.MemoryAccess.Read", 100'000);
  // One of its kind, three more, and at 100, 1000 and 10000 counted.
  REQUIRE(told.records.size() == 7);
  CHECK(told.records[0].second.domain == uuid_of(1));
  CHECK(told.last() == "10000 more refused calls were only counted: vmsec.MemoryAccess.Read 10000, and it goes on");
  CHECK(told.records.back().first == "scanner");
  told.now += seconds(60);
  told.tell("vmsec.MemoryAccess.Read");
  CHECK(told.last() ==
        "vmsec.MemoryAccess.Read: not granted (before it, 99996 more refused calls were only counted: "
        "vmsec.MemoryAccess.Read 99996)");
}

TEST_CASE("a thousand refusals of one kind do not hide the first of another, or of another VM") {
  Told told;
  told.tell("vmsec.MemoryAccess.Read", 1000);
  told.tell("vmsec.DomainControl.Pause");
  CHECK_THAT(told.last(), Catch::Contains("vmsec.DomainControl.Pause: not granted"));
  told.tell("vmsec.MemoryAccess.Read", 1, 2);
  CHECK(told.records.back().second.domain == uuid_of(2));
}

TEST_CASE("kinds beyond the limit are bounded too, and all of their calls are counted") {
  Told told;
  for (int i = 0; i < 1000; ++i) told.tell("vmsec.Made" + std::to_string(i));
  CHECK(told.records.size() <= 4 + 3 + 1);
  told.limiter.reset();
  CHECK_THAT(told.last(), Catch::StartsWith("993 more refused calls") && Catch::Contains("others 991"));
}

TEST_CASE("one caller's flood is not another's, whatever the kinds and names that it makes up") {
  Told told;
  told.tell("vmsec.MemoryAccess.Read", 1000);
  for (int i = 0; i < 1000; ++i) told.tell_stranger("2001:db8::" + std::to_string(i), 10);
  told.tell("vmsec.MemoryAccess.Read", 1, 1, "watcher");
  CHECK(told.records.back().first == "watcher");
  CHECK(told.last() == "vmsec.MemoryAccess.Read: not granted");
}

TEST_CASE("known callers beyond the limit share one place, and each record has its caller's name") {
  Told told;
  for (int i = 0; i < 1000; ++i) told.tell("vmsec.MemoryAccess.Read", 1, 1, "m" + std::to_string(i));
  CHECK(told.records.size() <= 8 + 1 + 3 + 1);
  CHECK(told.records[8].first == "m8");
}

TEST_CASE("the first refusals of a stranger are on record, then one for each pause with a count") {
  Told told;
  told.tell_stranger("192.0.2.1", 90);
  REQUIRE(told.records.size() == 3);
  CHECK(told.last() == "no TLS");
  told.now += seconds(60);
  told.tell_stranger("192.0.2.1", 1);
  REQUIRE(told.records.size() == 4);
  CHECK(told.last() == "no TLS (before it, 87 more refused calls were only counted: peer.refuse 87)");
}

TEST_CASE("many strangers together are bounded, their number takes no memory, and what was counted of them is told") {
  Told told;
  for (int i = 0; i < 10000; ++i) told.tell_stranger("2001:db8::" + std::to_string(i));
  CHECK(told.records.size() <= 6 + 3);  // with milestones of the place that they share
  told.now += seconds(3600);
  told.tell_stranger("192.0.2.1");
  CHECK(told.records.back().second.peer == "192.0.2.1");  // the crowd is forgotten
}

TEST_CASE("what was only counted is written at the end") {
  Told told;
  told.tell("vmsec.MemoryAccess.Read", 5);
  told.limiter.reset();
  REQUIRE(told.records.size() == 5);
  CHECK(told.records[4].second.outcome == Outcome::refused);
  CHECK(told.records[4].second.action == "grant.refuse");
  CHECK(told.last() == "1 more refused call was only counted: vmsec.MemoryAccess.Read 1");
}

TEST_CASE("who asks for leave is told how many were counted, and gets so many back in each pause") {
  Told told;
  told.limits.kinds = 0;
  told.limits.burst = 2;
  told.limits.refill = 2;
  told.limits.pause = seconds(1);
  RecordLimiter limiter([](const std::string&, const AuditEntry&) {}, told.limits, [&] { return told.now; });
  const RecordSource source{"toy", Standing::known, "log", {}, "core"};
  CHECK(limiter.admit(source, "log").write);
  CHECK(limiter.admit(source, "log").write);
  CHECK(limiter.admit(source, "log").counted == 1);
  CHECK(limiter.admit(source, "log").counted == 2);
  told.now += seconds(1);
  const auto ruling = limiter.admit(source, "log");
  CHECK(ruling.write);
  CHECK(ruling.before == "2 more refused calls were only counted: log 2");
  CHECK(limiter.admit(source, "log").write);
  CHECK_FALSE(limiter.admit(source, "log").write);
}

}  // namespace vmsec::test
