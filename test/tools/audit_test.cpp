#include "vmsec/audit.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "audit_text.hpp"
#include "tools/process.hpp"

using namespace vmsec::test;
using vmsec::AuditEntry;
using vmsec::Outcome;

namespace {

// A log of three acts, closed in order, by host-a.
struct Log {
  TempDir folder;
  std::string file = folder / "audit.log";
  std::string certificate = folder / "host-a.crt";
  Log() {
    REQUIRE(tool({"pki", "init", folder / "ca", "--name", "Test"}).code == 0);
    REQUIRE(tool({"pki", "issue", folder / "ca", "host-a", "--out", folder.path()}).code == 0);
    vmsec::HostFiles files;
    files.authority = folder / "ca/ca.crt";
    files.certificate = certificate;
    files.key = folder / "host-a.key";
    files.crl = folder / "ca/ca.crl";
    files.state_dir = folder.path();
    auto identity = vmsec::HostIdentity::load(files);
    REQUIRE(identity);
    auto log = vmsec::AuditLog::open(folder.path(), *identity);
    REQUIRE(log);
    REQUIRE((*log)->append("isolation", AuditEntry{"isolation.apply", Outcome::succeeded, {}, {}, "cpu_quota"}));
    REQUIRE((*log)->append("migration", AuditEntry{"migration.prepare", Outcome::refused, {}, "host-b", "no ticket"}));
    REQUIRE((*log)->append("core", AuditEntry{"policy.apply", Outcome::succeeded, {}, {}, "web.toml"}));
    REQUIRE((*log)->close());
  }
};

}  // namespace

TEST_CASE("audit show filters, as text and as JSON") {
  const Log log;
  CHECK(tool_json({"audit", "show", log.file})["records"].size() == 3);
  const auto refused = tool_json({"audit", "show", log.folder.path(), "--outcome", "refused"})["records"];
  REQUIRE(refused.size() == 1);
  CHECK(refused[0]["action"] == "migration.prepare");
  CHECK(refused[0]["peer"] == "host-b");
  CHECK(refused[0]["domain"].is_null());
  CHECK(tool_json({"audit", "show", "--state", log.folder.path(), "--module", "core"})["records"].size() == 1);
  CHECK(tool_json({"audit", "show", log.file, "--action", "migration"})["records"].size() == 1);
  CHECK(tool_json({"audit", "show", log.file, "--limit", "2"})["records"].size() == 2);
  CHECK(tool_json({"audit", "show", log.file, "--since", "1h"})["records"].size() == 3);
  CHECK(tool_json({"audit", "show", log.file, "--since", "2100-01-01"})["records"].empty());
  CHECK(tool_json({"audit", "show", log.file, "--all-kinds"})["records"].size() > 3);
  CHECK(tool({"audit", "show", log.file}).out.find("no ticket") != std::string::npos);
  CHECK(tool({"audit", "show", log.file, "--outcome", "well"}).code == 2);
  CHECK(tool({"audit", "show", log.file, "--since", "yesterday"}).code == 2);
}

TEST_CASE("audit verify proves a good log, and its anchor fits the next time") {
  const Log log;
  const auto report = tool_json({"audit", "verify", log.file, "--key", log.certificate});
  CHECK(report["good"] == true);
  CHECK(report["records"] > 3);
  CHECK(report["unsigned_records"] == 0);
  const std::string anchor = report["anchor"];
  CHECK(tool({"audit", "verify", log.file, "--key", log.certificate, "--anchor", anchor}).code == 0);
  std::string other = anchor;
  other.back() = other.back() == '0' ? '1' : '0';
  CHECK(tool({"audit", "verify", log.file, "--key", log.certificate, "--anchor", other}).code == 3);
  CHECK(tool({"audit", "verify", log.file, "--key", log.certificate, "--anchor", "4:zz"}).code == 2);
}

TEST_CASE("audit verify finds a changed record, a cut log and another's key") {
  const Log log;
  const std::string good = read_file(log.file);
  std::string changed = good;
  changed.replace(changed.find("no ticket"), 9, "a  ticket");
  write_file(log.file, changed);
  const Ran ran = tool({"audit", "verify", log.file, "--key", log.certificate});
  CHECK(ran.code == 3);
  const auto before =
      std::count(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(good.find("no ticket")), '\n');
  CHECK(ran.err.find("line " + std::to_string(before + 1) + ":") != std::string::npos);
  CHECK(tool({"audit", "show", log.file}).code == 3);

  write_file(log.file, good.substr(0, good.find('\n') + 1));
  CHECK(tool({"audit", "verify", log.file, "--key", log.certificate}).code == 3);

  write_file(log.file, good);
  CHECK(tool({"audit", "verify", log.file, "--key", log.folder / "ca/ca.crt"}).code == 3);
  CHECK(tool({"audit", "verify", log.file, "--key", log.certificate}).code == 0);
}

TEST_CASE("the words of time and outcome are read strictly") {
  const vmsec::UnixSeconds now{1'000'000};
  CHECK(vmsec::cli::parse_since("10s", now)->value == 999'990'000'000u);
  CHECK(vmsec::cli::parse_since("1970-01-02", now)->value == 86'400'000'000u);
  CHECK(vmsec::cli::parse_since("1970-01-02T00:00:01Z", now)->value == 86'401'000'000u);
  for (const auto* bad : {"", "now", "10", "1970-01-02x", "1970-13-01"}) CHECK_FALSE(vmsec::cli::parse_since(bad, now));
  CHECK(*vmsec::cli::parse_outcome("in-doubt") == Outcome::in_doubt);
  CHECK_FALSE(vmsec::cli::parse_outcome("unknown"));
}
