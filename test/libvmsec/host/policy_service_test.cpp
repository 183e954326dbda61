// A policy against what is, with modules of which one may fail.
#include "libvmsec/host/toys.hpp"

namespace vmsec::test {
namespace {

const std::string kWeb = "version = 1\n[[vm]]\nmatch = \"web-*\"\n[vm.toy]\nlevel = 5\n";
const std::string kGranted = kWeb + grant("toy", "web-*", R"("vmsec.DomainControl")");
const std::string kAll = "version = 1\n[[vm]]\nmatch = \"*\"\n[vm.toy]\nlevel = 5\n";

}  // namespace

TEST_CASE("a policy is compared, applied, and applying twice changes nothing") {
  Toys toys({"toy"});
  toys.grants.replace(policy(grant("toy", "*", R"("vmsec.DomainControl")")));
  auto report = good(toys.service.diff({kGranted, "web.toml"}));
  CHECK(report.file == "web.toml");
  REQUIRE(report.domains.size() == 1);
  CHECK(report.domains[0].name == "web-1");
  CHECK(report.domains[0].module == "toy");
  REQUIRE(report.domains[0].changes.size() == 1);
  CHECK(report.domains[0].changes[0].wanted == "5");

  CHECK(good(toys.service.apply({kGranted, "web.toml"})).domains[0].changes.size() == 1);
  CHECK(good(toys.service.apply({kGranted, "web.toml"})).domains[0].changes.empty());
  CHECK(good(toys.service.diff({kGranted, "web.toml"})).domains[0].changes.empty());
}

TEST_CASE("a policy is compared under its own grants, which are not in force by that") {
  Toys toys({"toy"});
  const auto report = good(toys.service.diff({kGranted, "web.toml"}));
  REQUIRE(report.domains.size() == 1);
  CHECK(report.domains[0].error.empty());
  CHECK(report.domains[0].changes.size() == 1);
  CHECK_FALSE(toys.grants.allows("toy", nullptr, "vmsec.DomainControl"));
  CHECK(toys.service.in_force().file.empty());
  CHECK(good(toys.service.apply({kGranted, "web.toml"})).domains[0].error.empty());
  CHECK(toys.grants.allows("toy", nullptr, "vmsec.DomainControl"));
  CHECK(toys.service.in_force().file == "web.toml");
  CHECK(toys.service.in_force().digest.size() == 64);
}

TEST_CASE("a module that acts while a policy is compared is refused") {
  Toys toys({"toy"});
  const std::string meddling =
      "version = 1\n[[vm]]\nmatch = \"web-*\"\n[vm.toy]\nlevel = 13\n" + grant("toy", "*", R"("vmsec.DomainControl")");
  const auto report = good(toys.service.diff({meddling, "web.toml"}));
  REQUIRE(report.domains.size() == 1);
  CHECK(report.domains[0].code == Code::denied);
  CHECK_THAT(report.domains[0].error, Catch::Contains("nothing is changed"));
  CHECK(toys.backend.calls == 0);
}

TEST_CASE("a section without keys is wanted as much as one with") {
  Toys toys({"toy"});
  const std::string bare =
      "version = 1\n[[vm]]\nmatch = \"web-*\"\n[vm.toy]\n" + grant("toy", "web-*", R"("vmsec.DomainControl")");
  const auto report = good(toys.service.apply({bare, "web.toml"}));
  REQUIRE(report.domains.size() == 1);
  REQUIRE(report.domains[0].changes.size() == 1);
  CHECK(report.domains[0].changes[0].wanted == "99");
}

TEST_CASE("a section whose module is granted nothing on its domains is a finding, and nothing is applied") {
  Toys toys({"toy"});
  const auto report = good(toys.service.apply({kWeb, "web.toml"}));
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings[0].line == 4);
  CHECK_THAT(report.findings[0].message, Catch::Contains("[[grant]] module = \"toy\" vm = \"web-*\""));
  CHECK(report.domains.empty());
  CHECK(toys.service.in_force().file.empty());
}

TEST_CASE("what a policy gives and withdraws is told, with the domains that it is about") {
  Toys toys({"toy"});
  auto report = good(toys.service.diff({kGranted, "web.toml"}));
  REQUIRE(report.grants.size() == 1);
  CHECK(report.grants[0].module == "toy");
  CHECK(report.grants[0].vms == "VM \"web-*\"");
  CHECK(report.grants[0].granted == std::vector<std::string>{"vmsec.DomainControl"});
  CHECK(report.grants[0].withdrawn.empty());
  CHECK(report.grants[0].domains == std::vector<std::string>{"web-1"});
  CHECK(good(toys.service.apply({kGranted, "web.toml"})).grants.size() == 1);
  CHECK(good(toys.service.apply({kGranted, "web.toml"})).grants.empty());

  report = good(toys.service.apply({"version = 1\n" + grant("toy", "wbe-*", R"("vmsec.DomainControl")"), "slip.toml"}));
  REQUIRE(report.grants.size() == 2);
  CHECK(report.grants[0].vms == "VM \"wbe-*\"");
  CHECK(report.grants[0].domains.empty());
  CHECK(report.grants[1].vms == "VM \"web-*\"");
  CHECK(report.grants[1].withdrawn == std::vector<std::string>{"vmsec.DomainControl"});
  CHECK(report.grants[1].domains == std::vector<std::string>{"web-1"});
}

TEST_CASE("a rule that takes away what a later one gives is told, though it names no interface") {
  Toys toys({"toy"});
  const std::string all = grant("toy", "*", R"("vmsec.DomainControl")");
  CHECK(toys.service.apply({"version = 1\n" + all, "all.toml"}));
  const auto report = good(toys.service.diff({"version = 1\n" + grant("toy", "db-*", "") + all, "less.toml"}));
  REQUIRE(report.grants.size() == 2);
  CHECK(report.grants[0].vms == "VM \"db-*\"");
  CHECK(report.grants[0].domains == std::vector<std::string>{"db-1"});
}

TEST_CASE("a [[vm]] that matches no domain, and one whose grants cover it in part, are warnings") {
  Toys toys({"toy"});
  const std::string slip = "version = 1\n[[vm]]\nmatch = \"wbe-*\"\n[vm.toy]\nlevel = 5\n";
  auto report = good(toys.service.check({slip + grant("toy", "*", R"("vmsec.DomainControl")"), "slip.toml"}));
  CHECK(report.findings.empty());
  REQUIRE(report.warnings.size() == 1);
  CHECK(report.warnings[0].line == 2);
  CHECK_THAT(report.warnings[0].message, Catch::Contains("VM \"wbe-*\" matches no VM"));
  report = good(toys.service.check({kAll + grant("toy", "web-*", R"("vmsec.DomainControl")"), "all.toml"}));
  REQUIRE(report.warnings.size() == 1);
  CHECK(report.warnings[0].line == 4);
}

TEST_CASE("a domain that fails is reported, and the others are made so") {
  Toys toys({"toy"});
  const auto report = good(toys.service.apply({kAll + grant("toy", "web-*", R"("vmsec.DomainControl")"), "all.toml"}));
  REQUIRE(report.domains.size() == 2);
  for (const auto& entry : report.domains) {
    INFO(entry.name << ": " << entry.error);
    CHECK(entry.error.empty() == (entry.name == "web-1"));
    CHECK(entry.changes.size() == (entry.name == "web-1" ? 1 : 0));
  }
}

TEST_CASE("a policy with findings is applied to nothing, and the grants stay as they were") {
  Toys toys({"toy"});
  CHECK(toys.service.apply({kGranted, "web.toml"}));
  const auto* text =
      GENERATE("version = 1\n[[vm]]\nmatch = \"*\"\n[vm.toy]\nlevel = 5\ncolour = 3\n",  // the module's word
               "version = 1\n[[vm]]\nmatch = \"*\"\n[vm.toy]\nunable = true\n",
               "version = 1\n[[vm]]\nmatch = \"*\"\n[vm.toy]\nthrows = true\n",
               "version = 1\n[[vm]]\nmatch = \"*\"\n[vm.other]\nlevel = 5\n",  // no such section
               "version = 1\n[[grant]]\nmodule = \"other\"\nvm = \"*\"\ninterfaces = []\n", "version = 2\n",
               "version = 1\nversion = 1\n", "version");
  INFO(text);
  const auto report = good(toys.service.apply({text, "bad.toml"}));
  CHECK(report.findings.size() >= 1);
  CHECK(report.findings[0].line > 0);
  CHECK(report.domains.empty());
  CHECK(good(toys.service.diff({kGranted, "web.toml"})).domains[0].error.empty());
}

TEST_CASE("a policy that cannot be recorded changes nothing") {
  Toys toys({"toy"});
  const auto applied = toys.service.apply({kGranted, "web.toml"}, [](const std::string&, const std::string&) -> Status {
    return fail(Code::io, "the disk is full");
  });
  CHECK(code_of(applied) == Code::io);
  CHECK_FALSE(toys.grants.allows("toy", nullptr, "vmsec.DomainControl"));
}

TEST_CASE("findings of core and modules come in the order of the file") {
  Toys toys({"toy", "toy_two"});
  const auto report = good(toys.service.check(
      {"version = 1\n[[vm]]\nmatch = \"a\"\n[vm.toy_two]\nx = 1\n[vm.nobody]\ny = 1\n[vm.toy]\nz = 1\n", "p.toml"}));
  std::vector<std::uint32_t> lines;
  for (const auto& finding : report.findings) lines.push_back(finding.line);
  // Of the toys' sections both their unknown keys and the missing grants.
  CHECK(lines == std::vector<std::uint32_t>{4, 5, 6, 8, 9});
}

TEST_CASE("the host's own policy file is read when no text is given") {
  TempDir dir;
  const std::string file = dir.path() / "policy.toml";
  spit(file, kGranted);
  Toys toys({"toy"}, file);
  good(toys.service.adopt_file());
  const auto report = good(toys.service.diff({}));
  CHECK(report.file == file);
  CHECK(report.domains[0].error.empty());  // its grants are in force

  spit(file, "version = 1\ncolour = 2\n");
  const auto bad = toys.service.adopt_file();
  CHECK(code_of(bad) == Code::invalid_argument);
  CHECK_THAT(message_of(bad), Catch::Contains(file + ":2:1"));
  CHECK(good(toys.service.diff({kGranted, "web.toml"})).domains[0].error.empty());  // those of before
}

TEST_CASE("without a policy of its own a host says so") {
  Toys toys({"toy"});
  good(toys.service.adopt_file());
  const auto report = good(toys.service.apply({}));
  REQUIRE(report.findings.size() == 1);
  CHECK_THAT(report.findings[0].message, Catch::Contains("none of its own"));
}

}  // namespace vmsec::test
