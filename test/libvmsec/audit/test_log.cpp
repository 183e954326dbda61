#include <sys/resource.h>
#include <sys/wait.h>
#include <csignal>

#include <algorithm>
#include <thread>

#include "libvmsec/audit/log_fixture.hpp"

namespace vmsec::test {

TEST_CASE("a log that was closed in order is signed to its end") {
  Logged logged;
  logged.fill(10);
  const AuditReport report = logged.verify();
  CHECK(report.good());
  CHECK(report.records == 14);  // one checkpoint at the beginning, after 4 and 8 acts, and at the end
  CHECK(report.checkpoints == 4);
  CHECK(report.unsigned_records == 0);
  CHECK(report.head_checked);
  CHECK(report.anchor.sequence == 14);
  CHECK(logged.verify(report.anchor).good());
}

TEST_CASE("a log goes on after a restart") {
  Logged logged;
  logged.fill(3);
  logged.fill(3);
  CHECK(logged.verify().good());
  CHECK(good(read_audit(logged.file())).size() == 6);
}

TEST_CASE("never are more records unsigned than a checkpoint every so many leaves") {
  Logged logged;
  const auto log = good(logged.open(4));
  for (int i = 0; i < 20; ++i) {
    good(log->append("m", Logged::entry("x")));
    CHECK(logged.verify().unsigned_records < 4);
  }
}

TEST_CASE("reading filters, and gives the newest") {
  Logged logged;
  const auto log = good(logged.open());
  good(log->append("migration", Logged::entry("one")));
  good(log->append("isolation", {"isolation.apply", Outcome::refused, {}, {}, "two"}));
  good(log->append("migration", Logged::entry("three", Outcome::failed)));
  const auto count = [&](auto change) {
    AuditFilter filter;
    change(filter);
    return good(read_audit(logged.file(), filter)).size();
  };
  CHECK(count([](AuditFilter&) {}) == 3);
  CHECK(count([](AuditFilter& f) { f.module = "migration"; }) == 2);
  CHECK(count([](AuditFilter& f) { f.action = "migration"; }) == 2);
  CHECK(count([](AuditFilter& f) { f.action = "migration.commit"; }) == 2);
  CHECK(count([](AuditFilter& f) { f.action = "migr"; }) == 0);
  CHECK(count([](AuditFilter& f) { f.outcome = Outcome::refused; }) == 1);
  CHECK(count([](AuditFilter& f) { f.domain = Logged::entry("").domain; }) == 2);
  CHECK(count([](AuditFilter& f) { f.kind = AuditKind::checkpoint; }) == 1);
  CHECK(count([](AuditFilter& f) { f.kind.reset(); }) == 4);
  AuditFilter newest;
  newest.limit = 1;
  CHECK(good(read_audit(logged.file(), newest)).at(0).entry.detail == "three");
  newest = {};
  newest.since = good(read_audit(logged.file())).at(2).time;
  CHECK(good(read_audit(logged.file(), newest)).size() == 1);
}

TEST_CASE("threads and logs that append to one file keep one chain") {
  Logged logged;
  {
    const auto first = good(logged.open());
    const auto second = good(logged.open());
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&, i] {
        for (int k = 0; k < 8; ++k) static_cast<void>((i % 2 == 0 ? first : second)->append("m", Logged::entry("x")));
      });
  }
  CHECK(logged.verify().good());
  CHECK(good(read_audit(logged.file())).size() == 32);
}

TEST_CASE("processes that append to one file keep one chain") {
  Logged logged;
  std::vector<pid_t> children;
  for (int i = 0; i < 3; ++i) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      const auto log = logged.open();
      bool all = log.has_value();
      for (int k = 0; all && k < 8; ++k) all = (*log)->append("m", Logged::entry("x")).has_value();
      ::_exit(all ? 0 : 1);  // without close(): as a crash
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  good(good(logged.open())->close());
  CHECK(logged.verify().good());
  CHECK(good(read_audit(logged.file())).size() == 24);
}

TEST_CASE("a line that a crash tore stays, and its record tells of it") {
  Logged logged;
  logged.fill(5);
  const auto lines = logged.lines();
  const std::string whole = slurp(logged.file());
  const std::string last = lines.back();
  const std::size_t kept = GENERATE(as<std::size_t>{}, 1, 20, 200);
  spit(logged.file(), whole + last.substr(0, kept));
  const AuditReport torn = logged.verify();
  CHECK(torn.bad_line == lines.size() + 1);
  CHECK_THAT(torn.cause, Catch::Contains("torn"));
  CHECK(good(read_audit(logged.file())).size() == 5);

  logged.fill(2);
  const AuditReport mended = logged.verify();
  CHECK(mended.good());
  CHECK(mended.torn == 1);
  CHECK(slurp(logged.file()).starts_with(whole + last.substr(0, kept) + "\n"));
  CHECK(good(read_audit(logged.file())).size() == 7);
  logged.fill(1);
  CHECK(logged.verify().good());
}

TEST_CASE("a crash while a torn line is being mended is mended too") {
  Logged logged;
  logged.fill(2);
  const std::string before = slurp(logged.file());
  spit(logged.file(), before + "{\"seq\":");
  logged.fill(0);
  const std::string mended = slurp(logged.file());
  const std::size_t first = before.size() + 8;  // behind the torn line and its newline
  for (const std::size_t cut : {first, first + 1, first + 50, mended.find('\n', first)}) {
    spit(logged.file(), mended.substr(0, cut));
    fs::remove(logged.dir / "audit.head");
    spit(logged.dir / "audit.head", before.substr(before.rfind("{\"seq\"")));
    logged.fill(1);
    CHECK(logged.verify().good());
    CHECK(logged.verify().torn == 1);
  }
}

TEST_CASE("a record that lacks only its newline is kept") {
  Logged logged;
  logged.fill(2);
  std::string text = slurp(logged.file());
  text.pop_back();
  spit(logged.file(), text);
  CHECK_FALSE(logged.verify().good());
  logged.fill(1);
  CHECK(logged.verify().good());
  CHECK(logged.verify().torn == 0);
}

TEST_CASE("on a full disk an append fails, and later ones go on with a good chain") {
  Logged logged;
  const auto log = good(logged.open());
  good(log->append("m", Logged::entry("before")));
  const std::string before = slurp(logged.file());
  const pid_t child = ::fork();  // a limit on file sizes stands in for the disk
  REQUIRE(child >= 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{before.size() + 100, before.size() + 100};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(2);
    const auto refused = log->append("m", Logged::entry("no room"));
    ::_exit(!refused && refused.error().code == Code::io ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(slurp(logged.file()) == before);
  good(log->append("m", Logged::entry("after")));
  good(log->close());
  CHECK(logged.verify().good());
  CHECK(good(read_audit(logged.file())).size() == 2);
}

TEST_CASE("a log that was moved or cut under our hands takes no more records") {
  Logged logged;
  const auto log = good(logged.open());
  good(log->append("m", Logged::entry("one")));
  const bool move = GENERATE(true, false);
  if (move)
    fs::rename(logged.file(), logged.dir / "elsewhere");
  else
    fs::resize_file(logged.file(), 10);
  CHECK(code_of(log->append("m", Logged::entry("two"))) == Code::tampered);
}

TEST_CASE("a closed log takes no more records") {
  Logged logged;
  const auto log = good(logged.open());
  good(log->close());
  good(log->close());
  CHECK(code_of(log->append("m", Logged::entry("x"))) == Code::wrong_state);
}

TEST_CASE("impossible options and folders are refused") {
  Logged logged;
  CHECK(code_of(logged.open(0)) == Code::invalid_argument);
  CHECK(code_of(logged.open(5000)) == Code::invalid_argument);
  CHECK(code_of(AuditLog::open("/nonexistent", logged.host)) == Code::io);
  CHECK(code_of(verify_audit("/nonexistent", {})) == Code::not_found);
  CHECK(code_of(read_audit("/nonexistent")) == Code::not_found);
}

}  // namespace vmsec::test
