// A log of several files is one chain: what is changed, removed or put back is found.
#include <algorithm>
#include <thread>

#include "libvmsec/audit/log_fixture.hpp"

using namespace vmsec;
using namespace vmsec::test;

namespace {

constexpr std::uint64_t kSmall = 4096;

struct Rotated : Logged {
  std::uint32_t keep = 0;

  [[nodiscard]] AuditOptions small() const {
    AuditOptions out = options();
    out.file_size = kSmall;
    out.keep_files = keep;
    return out;
  }
  [[nodiscard]] std::unique_ptr<AuditLog> start() const { return good(AuditLog::open(dir, host, small())); }
  void rotate(int acts = 60) const {
    const auto log = start();
    for (int i = 0; i < acts; ++i) good(log->append("migration", entry("act " + std::to_string(i))));
    good(log->close());
  }
  [[nodiscard]] std::vector<fs::path> files() const { return rotated_audit_files(file()); }
  [[nodiscard]] bool opens() const { return AuditLog::open(dir, host, small()).has_value(); }
};

}  // namespace

TEST_CASE("a full file is rotated, and the chain goes on over restarts") {
  const Rotated log;
  log.rotate();
  const auto before = log.files().size();
  CHECK(before >= 3);
  log.rotate();
  CHECK(log.files().size() > before);
  const auto report = log.verify();
  CHECK(report.good());
  CHECK(report.first == 1);
  CHECK(report.files == log.files().size() + 1);
  CHECK(report.unsigned_records == 0);
  AuditFilter all;
  all.limit = 0;
  CHECK(good(read_audit(log.file(), all)).size() == 120);
  for (const auto& file : log.files()) CHECK(fs::file_size(file) < 2 * kSmall);
}

TEST_CASE("a rotated file that is changed, removed or another one's copy is found, and the log takes no more") {
  const Rotated log;
  log.rotate();
  const auto files = log.files();
  REQUIRE(files.size() >= 3);
  for (const auto& file : files) {
    const std::string whole = slurp(file);
    std::string changed = whole;
    changed.replace(changed.find("act "), 4, "ACT ");
    spit(file, changed);
    CHECK_FALSE(log.verify().good());
    CHECK(log.verify().bad_file == file.string());
    CHECK_FALSE(log.opens());

    spit(file, whole.substr(0, whole.rfind('\n', whole.size() - 2) + 1));  // its last checkpoint
    CHECK_FALSE(log.verify().good());
    CHECK_FALSE(log.opens());

    fs::remove(file);
    CHECK_FALSE(log.verify().good());
    CHECK_FALSE(log.opens());

    spit(file, slurp(files[file == files[0] ? 1 : 0]));
    CHECK_FALSE(log.verify().good());
    CHECK_FALSE(log.opens());
    spit(file, whole);
    CHECK(log.verify().good());
  }
  CHECK(log.opens());
}

TEST_CASE("a log whose newest files are removed is found, by its head") {
  const Rotated log;
  log.rotate();
  fs::rename(log.files().back(), log.file());
  CHECK_FALSE(log.verify().good());
  CHECK_FALSE(log.opens());
}

TEST_CASE("the oldest files are removed on record, and no others may be missing") {
  Rotated log;
  log.keep = 2;
  log.rotate();
  log.rotate();
  REQUIRE(log.files().size() == 2);
  const auto report = log.verify();
  CHECK(report.good());
  CHECK(report.first > 1);
  AuditFilter begins;
  begins.kind = AuditKind::begin;
  CHECK(good(read_audit(log.file(), begins)).back().first == report.first);
  CHECK(log.opens());

  fs::remove(log.files().front());
  CHECK_FALSE(log.verify().good());
  CHECK(log.verify().cause.find("no signed record tells") != std::string::npos);
  CHECK_FALSE(log.opens());
}

TEST_CASE("a record that tells of removed files counts only when it is signed") {
  const Rotated log;
  log.rotate();
  const auto files = log.files();
  AuditRecord last = good(parse_audit_line(log.lines().back()));
  const AuditRecord kept = good(parse_audit_line(slurp(files[1]).substr(0, slurp(files[1]).find('\n'))));
  // Without the host's key: the record, and a guess at its hash, at the end.
  AuditRecord forged;
  forged.kind = AuditKind::begin;
  forged.sequence = last.sequence + 1;
  forged.time = last.time;
  forged.host = last.host;
  forged.first = kept.sequence;
  forged.before_first = kept.previous;
  forged.previous = last.hash;
  std::string line = audit_line(forged);
  line = line.substr(0, line.rfind(",\"hash\""));
  auto lines = log.lines();
  lines.push_back(line + ",\"hash\":\"" + record_hash(line) + "\"}");
  log.write(lines);
  CHECK(log.verify().good());
  SECTION("not by nobody") {}
  SECTION("and not by a host that signs what it finds") {
    CHECK(log.opens());
    CHECK(log.verify().unsigned_records == 0);
  }
  fs::remove(files[0]);
  CHECK_FALSE(log.verify().good());
  CHECK_FALSE(log.opens());
}

TEST_CASE("a file that somebody else puts among the rotated ones makes the host remove no others") {
  Rotated log;
  log.keep = 2;
  log.rotate();
  const auto writer = log.start();
  const std::string current = log.lines().front();
  for (const char* number : {"99999999999999999990", "99999999999999999991"}) {
    std::ofstream(log.file().string() + "." + number) << current << '\n';
  }
  for (int i = 0; i < 40; ++i) good(writer->append("m", Logged::entry("x")));
  good(writer->close());
  for (const fs::path& file : log.files())
    if (file.string().find(".9999") != std::string::npos) fs::remove(file);
  CHECK(log.files().size() == 2);
  CHECK(log.verify().good());
}

TEST_CASE("an anchor of a record that was removed proves nothing, and says so") {
  Rotated log;
  log.keep = 1;
  log.rotate(20);
  const AuditAnchor anchor = log.verify().anchor;
  log.rotate(100);
  REQUIRE(log.verify().first > anchor.sequence);
  CHECK_THAT(log.verify(anchor).cause, Catch::Contains("an anchor of a record that is still there"));
}

TEST_CASE("a rotation that fails lets no record through, and goes on once it can") {
  const Rotated log;
  const auto writer = log.start();
  // A folder in the next file's place: it can be neither replaced nor removed.
  fs::create_directories(log.dir / "audit.log.new/in the way");
  bool refused = false;
  for (int i = 0; i < 60 && !refused; ++i) refused = !writer->append("m", Logged::entry("x")).has_value();
  REQUIRE(refused);
  CHECK(code_of(writer->append("m", Logged::entry("x"))) == Code::io);
  CHECK(log.verify().good());
  fs::remove_all(log.dir / "audit.log.new");
  CHECK(writer->append("m", Logged::entry("x")).has_value());
  CHECK(log.files().size() == 1);
  good(writer->close());
  CHECK(log.verify().good());
}

TEST_CASE("a crash between the two renames of a rotation is mended") {
  const Rotated log;
  log.rotate();
  const auto last = good(parse_audit_line(log.lines().front()));
  std::string name = std::to_string(last.sequence);
  name.insert(0, 20 - name.size(), '0');
  fs::rename(log.file(), log.file().string() + "." + name);
  const auto count = log.files().size();
  CHECK(log.opens());
  log.rotate(1);
  CHECK(log.files().size() == count);
  CHECK(log.verify().good());
}

TEST_CASE("logs that append to one file follow each other's rotations") {
  const Rotated log;
  const auto write = [&] {
    const auto own = log.start();
    for (int i = 0; i < 40; ++i) good(own->append("m", Logged::entry("x")));
  };
  std::thread other(write);
  write();
  other.join();
  CHECK(log.files().size() >= 3);
  CHECK(log.verify().good());
}
