#include "host/refused_calls.hpp"

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
    limits.callers = 2;
    refused = std::make_unique<RefusedCalls>(
        [this](const std::string& who, const AuditEntry& entry) { records.emplace_back(who, entry); }, limits,
        [this] { return now; });
  }
  void tell(const std::string& what, int times = 1, unsigned vm = 1, const std::string& who = "scanner") {
    for (int i = 0; i < times; ++i)
      refused->tell(who, what, {"grant.refuse", Outcome::refused, uuid_of(vm), {}, what + ": not granted"});
  }
  [[nodiscard]] const std::string& last() const { return records.back().second.detail; }

  RefusedCallLimits limits;
  RefusedCalls::Time now{seconds(1000)};
  std::vector<std::pair<std::string, AuditEntry>> records;
  std::unique_ptr<RefusedCalls> refused;
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

TEST_CASE("a module that makes kinds up is bounded too, and all of its calls are counted") {
  Told told;
  for (int i = 0; i < 1000; ++i) told.tell("vmsec.Made" + std::to_string(i));
  CHECK(told.records.size() <= 4 + 3 + 1);
  told.refused.reset();
  CHECK_THAT(told.last(), Catch::StartsWith("993 more refused calls") && Catch::Contains("others 991"));
}

TEST_CASE("one module's flood is not another's") {
  Told told;
  told.tell("vmsec.MemoryAccess.Read", 1000);
  told.tell("vmsec.MemoryAccess.Read", 1, 1, "watcher");
  CHECK(told.records.back().first == "watcher");
  CHECK(told.last() == "vmsec.MemoryAccess.Read: not granted");
}

TEST_CASE("callers beyond the limit share one place, and each record has its caller's name") {
  Told told;
  for (int i = 0; i < 1000; ++i) told.tell("vmsec.MemoryAccess.Read", 1, 1, "m" + std::to_string(i));
  CHECK(told.records.size() <= 2 + 1 + 3 + 1);
  CHECK(told.records[2].first == "m2");
}

TEST_CASE("refused calls that were only counted are written at the end") {
  Told told;
  told.tell("vmsec.MemoryAccess.Read", 5);
  told.refused.reset();
  REQUIRE(told.records.size() == 5);
  CHECK(told.records[4].second.outcome == Outcome::refused);
  CHECK(told.records[4].second.action == "grant.refuse");
  CHECK(told.last() == "1 more refused call was only counted: vmsec.MemoryAccess.Read 1");
}

}  // namespace vmsec::test
