#include "host/journal_service.hpp"

#include "host/log.hpp"
#include "libvmsec/identity/cloud.hpp"

namespace vmsec::test {
namespace {

struct Journalled {
  Cloud cloud;
  HostIdentity identity = cloud.host("host-a");
  fs::path folder = cloud.dir.path() / "host-a" / "state";
  std::unique_ptr<AuditLog> audit = good(AuditLog::open(folder, identity));
  host::RecordLimiter::Time now{std::chrono::seconds(1000)};
  host::RecordLimiter records{
      [this](const std::string& module, const AuditEntry& entry) { std::ignore = audit->append(module, entry); },
      host::journal_record_limits(), [this] { return now; }};
  host::RecordLimiter lines{[](const std::string&, const AuditEntry&) {}, host::journal_line_limits()};
};

// What reaches standard error while `act` runs.
template <class Act>
std::string standard_error(const fs::path& folder, Act&& act) {
  const Fd kept(::dup(2));
  const Fd file(::open((folder / "stderr").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  REQUIRE(::dup2(file.get(), 2) == 2);
  act();
  REQUIRE(::dup2(kept.get(), 2) == 2);
  return slurp(folder / "stderr");
}

}  // namespace

TEST_CASE("a module's record is in the audit log, under that module's name") {
  Journalled host;
  host::JournalService journal("throttle", *host.audit, host.records, host.lines);
  const auto written = journal.audit({"throttle.apply", Outcome::succeeded, {}, "host-b", "vda: 20 MB/s"});
  CHECK(written);
  const auto records = good(read_audit(host.audit->path()));
  REQUIRE(records.size() == 1);
  CHECK(records[0].module == "throttle");
  CHECK(records[0].entry.action == "throttle.apply");
  CHECK(records[0].entry.peer == "host-b");
}

TEST_CASE("a record that cannot be written is an error: its act must not happen") {
  Journalled host;
  host::JournalService journal("throttle", *host.audit, host.records, host.lines);
  good(host.audit->close());
  CHECK(code_of(journal.audit({"throttle.apply", Outcome::succeeded, {}, {}, {}})) == Code::wrong_state);
}

TEST_CASE("a module that writes records without end writes so many, and the core's records say how many there were") {
  Journalled host;
  host::RecordLimits limits = host::journal_record_limits();
  limits.burst = 50;
  limits.refill = 10;
  host::RecordLimiter few(
      [&](const std::string& module, const AuditEntry& entry) { good(host.audit->append(module, entry)); }, limits,
      [&] { return host.now; });
  host::JournalService journal("scanner", *host.audit, few, host.lines);
  host::JournalService other("throttle", *host.audit, few, host.lines);
  std::size_t refused = 0;
  for (int i = 0; i < 500; ++i)
    if (!journal.audit({"made.up" + std::to_string(i), Outcome::succeeded, {}, {}, std::string(1000, 'x')})) ++refused;
  CHECK(refused == 450);
  CHECK(code_of(journal.audit({"one.more", Outcome::succeeded, {}, {}, {}})) == Code::limit_exceeded);
  auto records = good(read_audit(host.audit->path()));
  CHECK(std::ranges::count(records, "scanner", &AuditRecord::module) == 50);
  // Of another module, and of the agent itself, none is lost.
  CHECK(other.audit({"throttle.apply", Outcome::succeeded, {}, {}, {}}));
  CHECK(host.audit->append("core", {"policy.apply", Outcome::succeeded, {}, {}, {}}));
  host.now += std::chrono::seconds(1);
  CHECK(journal.audit({"later", Outcome::succeeded, {}, {}, {}}));
  records = good(read_audit(host.audit->path()));
  CHECK(std::ranges::any_of(records, [](const AuditRecord& each) {
    return each.module == "core" && each.entry.detail == "451 more records were only counted: scanner 451";
  }));
}

TEST_CASE("what a module refuses does not keep it from acting, and of refusals without end the number is told") {
  Journalled host;
  host::JournalService journal("migration", *host.audit, host.records, host.lines);
  for (int i = 0; i < 6000; ++i)
    CHECK(journal.audit({"migration.accept", Outcome::refused, {}, "host-b", "no ticket"}));
  CHECK(journal.audit({"migration.commit", Outcome::succeeded, {}, "host-c", {}}));
  host.now += std::chrono::seconds(1);
  CHECK(journal.audit({"migration.accept", Outcome::refused, {}, "host-b", "no ticket"}));
  const auto records = good(read_audit(host.audit->path(), {.limit = 0}));
  const auto refusals = std::ranges::count_if(records, [](const AuditRecord& each) {
    return each.module == "migration" && each.entry.outcome == Outcome::refused;
  });
  CHECK(refusals == host::kRecordsAtOnce + 1);
  CHECK(std::ranges::any_of(records, [](const AuditRecord& each) {
    return each.module == "core" && each.entry.detail.find("1000 more") == 0;
  }));
}

TEST_CASE("long records count for more than one") {
  Journalled host;
  host::JournalService journal("scanner", *host.audit, host.records, host.lines);
  std::uint32_t written = 0;
  while (written < host::kRecordsAtOnce && journal.audit({"long", Outcome::succeeded, {}, {}, std::string(8192, 'x')}))
    ++written;
  CHECK(written == host::kRecordsAtOnce / 9);
}

TEST_CASE("a log line stays one line, whatever its text") {
  Journalled host;
  host::JournalService journal("toy", *host.audit, host.records, host.lines);
  const std::string out = standard_error(host.folder, [&] {
    CHECK(journal.log({LogLevel::warning, "first\nsecond\x1b[31m\xff\t"}));
    CHECK(journal.log({LogLevel::error, std::string("nul\0end", 7)}));
    CHECK(journal.log({static_cast<LogLevel>(77), "of an unknown level"}));
  });
  CHECK(std::ranges::count(out, '\n') == 3);
  CHECK_THAT(out, Catch::Contains("toy: first\\x0asecond\\x1b[31m\\xff\\x09"));
  CHECK_THAT(out, Catch::Contains("nul\\x00end"));
  CHECK_THAT(out, Catch::Contains("of an unknown level"));
}

TEST_CASE("a module that writes lines without end writes so many in a second, and one more that says so") {
  Journalled host;
  host::JournalService journal("throttle", *host.audit, host.records, host.lines);
  std::size_t refused = 0;
  const std::string told = standard_error(host.folder, [&] {
    for (int i = 0; i < 1000; ++i)
      if (!journal.log({LogLevel::info, "line"})) ++refused;
  });
  CHECK(refused > 0);
  CHECK_THAT(told, Catch::Contains("more than 200 log lines in a second"));
  CHECK(static_cast<std::size_t>(std::ranges::count(told, '\n')) < 1000);
}

}  // namespace vmsec::test
