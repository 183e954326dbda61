#include "ledger.hpp"

#include <catch2/catch.hpp>

#include "fake_host.hpp"

using namespace vmsec;
using namespace vmsec::migration;

namespace {

class RecordDisk final : public Records {
 public:
  Result<Empty> put(const Record& r) override {
    if (full) return fail(Code::io, "full");
    records[r.key] = r.value;
    return Empty{};
  }
  Result<Record> get(const RecordKey& r) override { return Record{r.key, records[r.key]}; }
  Result<Empty> remove(const RecordKey& r) override {
    records.erase(r.key);
    return Empty{};
  }
  Result<RecordList> list(const RecordKey&) override {
    RecordList out;
    for (const auto& [key, value] : records) out.records.push_back({key, value});
    return out;
  }
  std::map<std::string, std::string> records;
  bool full = false;
};

class Audit final : public Journal {
 public:
  Result<Empty> audit(const AuditEntry& r) override {
    if (broken) return fail(Code::io, "broken");
    entries.push_back(r);
    return Empty{};
  }
  Result<Empty> log(const LogLine&) override { return Empty{}; }
  std::vector<AuditEntry> entries;
  bool broken = false;
};

OwnershipRecord first(const Uuid& migration) {
  return {migration, Side::source, Phase::started, test::kDomain, "web-1", "host-b"};
}

}  // namespace

TEST_CASE("a step is audited, then durable, then visible; else it did not happen") {
  RecordDisk disk;
  Audit audit;
  Ledger ledger(disk, audit);
  const Uuid migration = *random_uuid();
  REQUIRE(ledger.begin(first(migration)));
  CHECK(ledger.begin(first(migration)).error().code == Code::already_exists);
  const auto before = disk.records;
  SECTION("no audit, no step") {
    audit.broken = true;
    CHECK_FALSE(ledger.advance(migration, Side::source, Phase::source_gated, "x"));
    CHECK(disk.records == before);
  }
  SECTION("no disk, no step") {
    disk.full = true;
    CHECK_FALSE(ledger.advance(migration, Side::source, Phase::source_gated, "x"));
  }
  SECTION("a step that is not allowed") {
    CHECK(ledger.advance(migration, Side::source, Phase::source_committed, "x").error().code == Code::wrong_state);
    CHECK(ledger.advance(migration, Side::source, Phase::loaded, "x").error().code == Code::wrong_state);
    CHECK(ledger.advance(migration, Side::destination, Phase::loaded, "x").error().code == Code::not_found);
    CHECK(audit.entries.size() == 1);
  }
  CHECK(ledger.find(migration, Side::source)->phase == Phase::started);
}

TEST_CASE("records come back after a restart") {
  RecordDisk disk;
  Audit audit;
  const Uuid migration = *random_uuid();
  {
    Ledger ledger(disk, audit);
    REQUIRE(ledger.begin(first(migration)));
    REQUIRE(ledger.advance(migration, Side::source, Phase::source_gated, "x"));
  }
  Ledger ledger(disk, audit);
  REQUIRE(ledger.load());
  CHECK(ledger.find(migration, Side::source)->phase == Phase::source_gated);
  CHECK(ledger.unfinished(test::kDomain)->migration == migration);
}

TEST_CASE("a record that is damaged is an error, not an absent one") {
  RecordDisk disk;
  Audit audit;
  const Uuid migration = *random_uuid();
  const std::string key = "source-" + migration.text();
  SECTION("it does not decode") { disk.records[key] = "\xff\xff"; }
  SECTION("it is another migration's") { disk.records[key] = wire::encode(first(*random_uuid())); }
  SECTION("it is of no phase") {
    OwnershipRecord record = first(migration);
    record.phase = static_cast<Phase>(77);
    disk.records[key] = wire::encode(record);
  }
  Ledger ledger(disk, audit);
  CHECK_FALSE(ledger.load());
}

TEST_CASE("only finished records are forgotten") {
  RecordDisk disk;
  Audit audit;
  Ledger ledger(disk, audit);
  const Uuid open = *random_uuid();
  REQUIRE(ledger.begin(first(open)));
  for (int i = 0; i < 120; ++i) {
    const Uuid migration = *random_uuid();
    REQUIRE(ledger.begin(first(migration)));
    REQUIRE(ledger.advance(migration, Side::source, Phase::source_reclaimed, "x"));
    REQUIRE(ledger.advance(migration, Side::source, Phase::source_failed, "x"));
  }
  CHECK(disk.records.size() <= Ledger::kFinishedKept + 2);
  CHECK(ledger.find(open, Side::source));
}

TEST_CASE("a later migration of a domain has a higher epoch; a lost one does not come back after it") {
  RecordDisk disk;
  Audit audit;
  Ledger ledger(disk, audit);
  const Uuid lost = *random_uuid(), later = *random_uuid();
  REQUIRE(ledger.begin(first(lost)));
  REQUIRE(ledger.advance(lost, Side::source, Phase::source_gated, ""));
  REQUIRE(ledger.advance(lost, Side::source, Phase::source_lost, ""));
  CHECK_FALSE(ledger.superseded(lost, Side::source));
  OwnershipRecord incoming = first(later);
  incoming.epoch = 7;  // the other end's count goes on here
  REQUIRE(ledger.begin(incoming));
  CHECK(ledger.find(later, Side::source)->epoch == 7);
  CHECK(ledger.superseded(lost, Side::source));
  CHECK_FALSE(ledger.superseded(later, Side::source));
  CHECK(ledger.advance(lost, Side::source, Phase::source_committed, "").error().code == Code::wrong_state);
  const Uuid another = *random_uuid();
  REQUIRE(ledger.begin(first(another)));
  CHECK(ledger.find(another, Side::source)->epoch == 8);
  // On the disk as well.
  Ledger reread(disk, audit);
  REQUIRE(reread.load());
  CHECK(reread.superseded(lost, Side::source));
}
