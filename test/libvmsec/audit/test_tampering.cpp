#include "libvmsec/audit/log_fixture.hpp"

namespace vmsec::test {
namespace {

// Rewrites the chain from there on, as somebody does who knows the code but not the key.
void relink(std::vector<std::string>& lines, std::size_t from, const std::function<std::string(std::string)>& hash) {
  std::string previous = from == 0 ? std::string(64, '0') : lines[from - 1].substr(lines[from - 1].size() - 66, 64);
  for (std::size_t i = from; i < lines.size(); ++i) {
    std::string& line = lines[i];
    line.replace(line.find("\"prev\":\"") + 8, 64, previous);
    const std::size_t end = line.size() - 75;  // of ,"hash":"<64>"}
    previous = hash(line.substr(0, end));
    line = line.substr(0, end) + ",\"hash\":\"" + previous + "\"}";
  }
}

}  // namespace

TEST_CASE("a changed record is found, at its line") {
  Logged logged;
  logged.fill(6);
  auto lines = logged.lines();
  const std::size_t at = lines[3].find("act 2");
  REQUIRE(at != std::string::npos);
  lines[3].replace(at, 5, "act 9");
  logged.write(lines);
  const AuditReport report = logged.verify();
  CHECK(report.bad_line == 4);
  CHECK_THAT(report.cause, Catch::Contains("changed"));
  CHECK(code_of(logged.open()) == Code::tampered);
  CHECK(code_of(read_audit(logged.file())) == Code::tampered);
}

TEST_CASE("a removed, a doubled and a moved record are found, at their line") {
  Logged logged;
  logged.fill(6);
  const auto whole = logged.lines();
  const auto bad_line = [&](auto change) {
    auto lines = whole;
    change(lines);
    logged.write(lines);
    CHECK(code_of(logged.open()) == Code::tampered);
    return logged.verify().bad_line;
  };
  CHECK(bad_line([](auto& lines) { lines.erase(lines.begin() + 2); }) == 3);
  CHECK(bad_line([](auto& lines) { lines.erase(lines.begin()); }) == 1);
  CHECK(bad_line([](auto& lines) { lines.insert(lines.begin() + 2, lines[1]); }) == 3);
  CHECK(bad_line([](auto& lines) { std::swap(lines[1], lines[2]); }) == 2);
  CHECK(bad_line([](auto& lines) { lines.push_back(lines.back()); }) == whole.size() + 1);
}

TEST_CASE("a log that was cut is found, by its head, also at a checkpoint") {
  Logged logged;
  logged.fill(6);
  const auto whole = logged.lines();
  for (std::size_t kept = 0; kept < whole.size(); ++kept) {
    logged.write({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(kept)});
    CHECK_FALSE(logged.verify().good());
    CHECK(code_of(logged.open()) == Code::tampered);
  }
}

TEST_CASE("a log that was cut together with its head is found by an anchor") {
  Logged logged;
  logged.fill(2);
  const std::string old_log = slurp(logged.file());
  const std::string old_head = slurp(logged.dir / "audit.head");
  logged.fill(5);
  const AuditAnchor anchor = logged.verify().anchor;
  spit(logged.file(), old_log);
  spit(logged.dir / "audit.head", old_head);
  CHECK(logged.verify().good());  // this is what a log alone cannot show
  CHECK_THAT(logged.verify(anchor).cause, Catch::Contains("cut back"));
  logged.fill(20);  // and growing over it does not help
  CHECK_THAT(logged.verify(anchor).cause, Catch::Contains("not the one that the anchor tells of"));
}

TEST_CASE("a history that was written anew without the host's key is found at its first checkpoint") {
  Logged logged;
  logged.fill(6);
  auto lines = logged.lines();
  lines[2].replace(lines[2].find("act 1"), 5, "act 7");
  relink(lines, 2, record_hash);
  logged.write(lines);
  for (const auto& line : lines) REQUIRE(parse_audit_line(line));
  const AuditReport report = logged.verify();
  CHECK(report.bad_line == 6);
  CHECK_THAT(report.cause, Catch::Contains("signature is wrong"));
  CHECK(code_of(logged.open()) == Code::tampered);
  fs::remove(logged.dir / "audit.head");
  CHECK(logged.verify().bad_line == 6);
  CHECK(code_of(logged.open()) == Code::tampered);
}

TEST_CASE("a checkpoint by another key is found") {
  Logged logged;
  const HostIdentity other = logged.cloud.host("web-2");
  logged.fill(3);
  CHECK_FALSE(good(verify_audit(logged.file(), {other.public_key()})).good());
  CHECK_FALSE(good(verify_audit(logged.file(), {})).good());
  CHECK(good(verify_audit(logged.file(), {other.public_key(), logged.host.public_key()})).good());
  CHECK(code_of(AuditLog::open(logged.dir, other, logged.options())) == Code::wrong_state);
}

TEST_CASE("records that somebody appends are found, or bounded") {
  Logged logged;
  logged.fill(3);
  auto lines = logged.lines();
  AuditRecord forged = good(parse_audit_line(lines[1]));
  for (int i = 0; i < 30; ++i) {
    const AuditRecord last = good(parse_audit_line(lines.back()));
    forged.sequence = last.sequence + 1;
    forged.previous = last.hash;
    std::string line = audit_line(forged);
    line = line.substr(0, line.size() - 75);
    lines.push_back(line + ",\"hash\":\"" + record_hash(line) + "\"}");
  }
  logged.write(lines);
  CHECK(logged.verify().unsigned_records == 30);
  const auto refused = logged.open(4);
  CHECK(code_of(refused) == Code::tampered);
  CHECK_THAT(message_of(refused), Catch::Contains("30 records at its end are unsigned"));
}

TEST_CASE("lines that are no records are found, also before a torn record that tells of others") {
  Logged logged;
  logged.fill(3);
  const auto whole = logged.lines();
  for (const std::string& garbage : {std::string("garbage"), std::string(), std::string(300'000, 'x')}) {
    auto lines = whole;
    lines.insert(lines.begin() + 2, garbage);
    logged.write(lines);
    CHECK(logged.verify().bad_line == 3);
    CHECK(code_of(logged.open()) == Code::tampered);
  }
  logged.write(whole);
  spit(logged.file(), slurp(logged.file()) + "torn");
  logged.fill(1);
  REQUIRE(logged.verify().good());
  auto lines = logged.lines();
  for (auto& line : lines) {
    if (line == "torn") line = "t0rn";
  }
  logged.write(lines);
  CHECK(logged.verify().bad_line == whole.size() + 1);
  std::erase(lines, "t0rn");
  logged.write(lines);
  CHECK(logged.verify().bad_line == whole.size() + 1);
}

TEST_CASE("a head that is not the log's, or no checkpoint, is found") {
  Logged logged;
  logged.fill(3);
  const auto lines = logged.lines();
  spit(logged.dir / "audit.head", lines[1] + "\n");
  CHECK_FALSE(logged.verify().good());
  CHECK(code_of(logged.open()) == Code::tampered);
  spit(logged.dir / "audit.head", "");
  CHECK_FALSE(logged.verify().good());
  fs::remove(logged.dir / "audit.head");
  CHECK_FALSE(logged.verify().good());
  const auto copy = good(verify_audit(logged.file(), {logged.host.public_key()}, {}, AuditHead::may_be_absent));
  CHECK(copy.good());
  CHECK_FALSE(copy.head_checked);
  CHECK(logged.verify(copy.anchor).good());
  CHECK(code_of(logged.open()) == Code::tampered);
}

TEST_CASE("a log that was cut back to an earlier checkpoint is bad, also when audit.head was removed") {
  Logged logged;
  logged.fill(10);
  auto lines = logged.lines();
  lines.resize(6);  // ends with the second checkpoint
  logged.write(lines);
  CHECK_FALSE(logged.verify().good());
  fs::remove(logged.dir / "audit.head");
  CHECK_FALSE(logged.verify().good());
}

TEST_CASE("a host with a new key begins a new log, unless the former key is named") {
  Logged logged;
  logged.fill(3);
  const fs::path fresh = logged.cloud.dir.path() / "fresh";
  fs::create_directory(fresh);
  const auto issued = good(logged.cloud.authority.issue("web-1", {30, fresh}));
  HostFiles files = logged.host.files();
  files.certificate = issued.certificate;
  files.key = issued.key;
  const HostIdentity renewed = good(HostIdentity::load(files, logged.cloud.clock.clock()));
  AuditOptions options = logged.options();
  CHECK(code_of(AuditLog::open(logged.dir, renewed, options)) == Code::untrusted);
  options.former_keys = {logged.host.public_key()};
  good(good(AuditLog::open(logged.dir, renewed, options))->append("m", Logged::entry("x")));
  CHECK(good(verify_audit(logged.file(), {logged.host.public_key(), renewed.public_key()})).good());
  CHECK_FALSE(logged.verify().good());
}

TEST_CASE("once a log went on under a new key, the former one opens it no more and is needed no more") {
  Logged logged;
  logged.fill(3);
  const HostIdentity former = logged.host;
  const fs::path fresh = logged.cloud.dir.path() / "fresh";
  fs::create_directory(fresh);
  const auto issued = good(logged.cloud.authority.issue("web-1", {30, fresh}));
  HostFiles files = former.files();
  files.former_certificates = {files.certificate};
  files.certificate = issued.certificate;
  files.key = issued.key;
  logged.host = good(HostIdentity::load(files, logged.cloud.clock.clock()));
  AuditOptions options = logged.options();
  options.former_keys = logged.host.former_keys();
  {
    const auto log = good(AuditLog::open(logged.dir, logged.host, options));
    CHECK(good(verify_audit(logged.file(), {former.public_key(), logged.host.public_key()})).unsigned_records == 0);
  }
  CHECK(code_of(logged.open()) == Code::ok);
  CHECK(code_of(AuditLog::open(logged.dir, former, logged.options())) == Code::untrusted);
}

TEST_CASE("the advice for a log that another key signed works: with both files moved away a new one begins") {
  Logged logged;
  logged.fill(3);
  HostFiles files = logged.host.files();
  const fs::path fresh = logged.cloud.dir.path() / "fresh";
  fs::create_directory(fresh);
  const auto issued = good(logged.cloud.authority.issue("web-1", {30, fresh}));
  files.certificate = issued.certificate;
  files.key = issued.key;
  logged.host = good(HostIdentity::load(files, logged.cloud.clock.clock()));
  const auto refused = logged.open();
  REQUIRE(code_of(refused) == Code::untrusted);
  for (const auto* word : {"identity.former_certificates", "audit.log", "audit.head"})
    CHECK(message_of(refused).find(word) != std::string::npos);
  for (const auto* name : {"audit.log", "audit.head"}) fs::rename(logged.dir / name, fresh / name);
  CHECK(code_of(logged.open()) == Code::ok);
}

TEST_CASE("an empty log is not a good one") {
  Logged logged;
  spit(logged.file(), "");
  CHECK_FALSE(logged.verify().good());
}

}  // namespace vmsec::test
