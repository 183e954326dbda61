#include "vmsec/policy.hpp"
#include "paths.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace vmsec {
namespace {

using Tags = std::vector<std::string>;

Policy good(std::string_view text) {
  auto policy = Policy::parse(text);
  if (!policy) FAIL(describe(policy.error(), "policy"));
  return std::move(*policy);
}

const Setting* find(const Settings& settings, std::string_view path) {
  for (const Setting& setting : settings.settings)
    if (setting.path == path) return &setting;
  return nullptr;
}

TEST_CASE("policy: the example policies are good") {
  for (const auto& file : std::filesystem::directory_iterator(VMSEC_SOURCE_DIR "/test/data/policies")) {
    INFO(file.path());
    const auto policy = Policy::read(file.path());
    if (!policy) FAIL(describe(policy.error(), file.path().string()));
  }
}

TEST_CASE("policy: the first [[vm]] that matches decides, alone") {
  const Policy policy = good(R"(
version = 1
[[vm]]
match = "web-*"
[vm.isolation]
cpu_weight = 1
[[vm]]
tag = "batch"
[vm.isolation]
cpu_weight = 2
[vm.throttle.disk.vda]
read = "1 MB/s"
[[vm]]
match = "*"
[vm.isolation]
cpu_weight = 3
)");
  const auto weight = [&](std::string_view name, const Tags& tags) {
    const Section* found = policy.section(name, tags, "isolation");
    const Settings section = found == nullptr ? Settings{} : found->settings;
    return section.settings.size() == 1 ? section.settings[0].integer : 0;
  };
  CHECK(weight("web-1", {}) == 1);
  CHECK(weight("web-1", {"batch"}) == 1);
  CHECK(weight("db", {"other", "batch"}) == 2);
  CHECK(weight("db", {"Batch"}) == 3);
  CHECK(weight("", {}) == 3);
  CHECK(policy.section("web-1", Tags{"batch"}, "throttle") == nullptr);
  REQUIRE(policy.section("db", Tags{"batch"}, "throttle") != nullptr);
  CHECK(policy.section("db", Tags{"batch"}, "throttle")->settings.settings.size() == 1);
  CHECK(policy.section("db", {}, "unknown") == nullptr);
  REQUIRE(policy.rule_for("db", Tags{"batch"}) != nullptr);
  CHECK(policy.rule_for("db", Tags{"batch"})->line == 7);
}

TEST_CASE("policy: patterns match whole names, * any run and ? one character") {
  struct Case {
    const char* pattern;
    const char* name;
    bool matches;
  };
  for (const Case& each : {Case{"web-1", "web-1", true},
                           {"web-1", "web-10", false},
                           {"web-?", "web-1", true},
                           {"web-?", "web-", false},
                           {"web-?", "web-10", false},
                           {"*", "", true},
                           {"*", "x.y z", true},
                           {"w*b", "wb", true},
                           {"w*b", "web-b", true},
                           {"w*b", "web-c", false},
                           {"*b*", "abc", true},
                           {"**a", "bba", true},
                           {"a*a*a", "aa", false},
                           {"?", "\xc3\xa9", true},
                           {"??", "\xc3\xa9", false},
                           {"*?", "\xc3\xa9", true},
                           {"[a]", "a", false},
                           {"WEB", "web", false}}) {
    INFO(each.pattern << " " << each.name);
    CHECK(Selector{Selector::By::name, each.pattern}.matches(each.name, {}) == each.matches);
  }
  const std::string stars = [] {
    std::string out;
    for (int i = 0; i < 64; ++i) out += "*a";
    return out;
  }();
  CHECK_FALSE(Selector{Selector::By::name, stars + "b"}.matches(std::string(200, 'a'), {}));
}

TEST_CASE("policy: a selector covers another only if it takes all of its domains") {
  const auto name = [](const char* pattern) { return Selector{Selector::By::name, pattern}; };
  const auto tag = [](const char* value) { return Selector{Selector::By::tag, value}; };
  CHECK(name("*").covers(name("a?*")));
  CHECK(name("a*").covers(name("ab*")));
  CHECK(name("a?").covers(name("ab")));
  CHECK_FALSE(name("ab*").covers(name("a*")));
  CHECK_FALSE(name("a?").covers(name("a*")));
  CHECK_FALSE(name("ab").covers(name("a?")));
  CHECK_FALSE(name("*a*").covers(name("*")));
  CHECK_FALSE(name("?*").covers(name("*")));
  CHECK(name("*").covers(tag("x")));
  CHECK_FALSE(name("?*").covers(tag("x")));
  CHECK_FALSE(tag("x").covers(name("x")));
  CHECK(tag("x").covers(tag("x")));
  CHECK_FALSE(tag("*").covers(tag("x")));
}

TEST_CASE("policy: nothing is granted unless a [[grant]] says so, and the first that matches decides") {
  const Policy policy = good(R"(
version = 1
[[grant]]
module = "throttle"
tag = "accounts"
interfaces = []
[[grant]]
module = "throttle"
vm = "web-*"
interfaces = ["vmsec.IoControl"]
[[grant]]
module = "throttle"
vm = "*"
interfaces = ["vmsec.DomainControl"]
)");
  CHECK(policy.grants("throttle", "web-1", {}, "vmsec.IoControl"));
  CHECK_FALSE(policy.grants("throttle", "web-1", Tags{"accounts"}, "vmsec.IoControl"));
  CHECK_FALSE(policy.grants("throttle", "web-1", {}, "vmsec.DomainControl"));
  CHECK(policy.grants("throttle", "db", {}, "vmsec.DomainControl"));
  CHECK_FALSE(policy.grants("throttle", "db", Tags{"accounts"}, "vmsec.DomainControl"));
  CHECK_FALSE(policy.grants("isolation", "web-1", {}, "vmsec.IoControl"));
  CHECK_FALSE(policy.grants("throttle", "web-1", {}, "vmsec.MemoryAccess"));
  CHECK(policy.grants_any("throttle", "vmsec.IoControl"));
  CHECK_FALSE(policy.grants_any("throttle", "vmsec.MemoryAccess"));
  CHECK_FALSE(policy.grants_any("isolation", "vmsec.IoControl"));
  CHECK_FALSE(Policy().grants("throttle", "web-1", {}, "vmsec.IoControl"));
}

TEST_CASE("policy: values keep their type, their path and their place") {
  const Policy policy = good(
      "version = 1\n"
      "[[vm]]\n"
      "match = \"*\"\n"
      "[vm.x]\n"
      "text = \"t\"\n"
      "integer = -5\n"
      "  boolean = true\n"
      "real = 1.5\n"
      "list = [0, 12]\n"
      "texts = ['a', \"b\"]\n"
      "none = []\n"
      "nic.\"tap.0\".receive = \"1 MB/s\"\n"
      "disk.\"*\" = {read = \"2 MB/s\", write = 3}\n"
      "[vm.x.\"d\u00e9j\u00e0 vu\"]\n"
      "\"\" = 1\n");
  REQUIRE(policy.section("a", {}, "x") != nullptr);
  const Settings section = policy.section("a", {}, "x")->settings;
  CHECK(section.settings.size() == 11);
  const auto check = [&](std::string_view path, SettingType type, std::uint32_t line, std::uint32_t column) {
    INFO(path);
    const Setting* setting = find(section, path);
    REQUIRE(setting != nullptr);
    CHECK(setting->type == type);
    CHECK(setting->line == line);
    CHECK(setting->column == column);
  };
  check("text", SettingType::text, 5, 8);
  check("integer", SettingType::integer, 6, 11);
  check("boolean", SettingType::boolean, 7, 13);
  check("real", SettingType::real, 8, 8);
  check("list", SettingType::list, 9, 8);
  check("none", SettingType::list, 11, 8);
  check("nic.\"tap.0\".receive", SettingType::text, 12, 23);
  check("disk.\"*\".read", SettingType::text, 13, 20);
  check("disk.\"*\".write", SettingType::integer, 13, 38);
  check("\"d\u00e9j\u00e0 vu\".\"\"", SettingType::integer, 15, 6);
  CHECK(find(section, "text")->text == "t");
  CHECK(find(section, "integer")->integer == -5);
  CHECK(find(section, "boolean")->boolean);
  CHECK(find(section, "real")->real == 1.5);
  CHECK(find(section, "list")->list == std::vector<std::string>{"0", "12"});
  CHECK(find(section, "texts")->list == std::vector<std::string>{"a", "b"});
}

TEST_CASE("policy: texts and comments may hold any character, and a byte order mark may come first") {
  const Policy policy = good(
      "\xef\xbb\xbfversion = 1  # caf\u00e9 \u2003\n[[vm]]\nmatch = \"caf\u00e9-*\"\n"
      "[vm.\"\u00e9\".'\u00e9']\nt = {a.\"\u00e9\".b = '\u00e9', \"\u00e9\"=[\"\u00e9\",'\u00e9']}\n");
  CHECK(policy.rule_for("caf\u00e9-1", {}) != nullptr);
}

TEST_CASE("policy: sections and grants of modules that are not loaded are findings") {
  const Policy policy = good(
      "version = 1\n[[vm]]\nmatch = \"*\"\n[vm.isolation]\n[vm.thottle]\n"
      "[[grant]]\nmodule = \"isolatoin\"\nvm = \"*\"\ninterfaces = []\n");
  const ModuleOutline loaded[] = {{"isolation", "isolation"}, {"throttle", "throttle"}, {"sectionless", ""}};
  const Findings findings = policy.check_modules(loaded);
  REQUIRE(findings.findings.size() == 2);
  CHECK(findings.findings[0].line == 5);
  CHECK_THAT(findings.findings[0].message, Catch::Contains("[vm.thottle]: no loaded module"));
  CHECK(findings.findings[1].line == 6);
  CHECK_THAT(findings.findings[1].message, Catch::Contains("no module \"isolatoin\" is loaded"));
}

TEST_CASE("policy: sections whose module may do nothing to their domains are findings") {
  const std::string vm = "version = 1\n[[vm]]\nmatch = \"web-*\"\n[vm.throttle]\n";
  const auto grant = [](const std::string& by, const std::string& interfaces) {
    return "[[grant]]\nmodule = \"throttle\"\n" + by + "\ninterfaces = [" + interfaces + "]\n";
  };
  const std::string all = "\"vmsec.IoControl\", \"vmsec.DomainControl\"";
  const ModuleOutline loaded[] = {{"throttle", "throttle", {"vmsec.IoControl", "vmsec.DomainControl"}},
                                  {"quiet", "quiet", {}}};
  const auto gaps = [&](const std::string& grants) { return good(vm + grants).check_grants(loaded); };

  const auto none = gaps("");
  REQUIRE(none.findings.findings.size() == 1);
  CHECK(none.findings.findings[0].line == 4);
  CHECK_THAT(none.findings.findings[0].message,
             Catch::Contains("module = \"throttle\" vm = \"web-*\" interfaces = [\"vmsec.IoControl\", "));
  CHECK(gaps(grant("vm = \"db-*\"", all)).findings.findings.size() == 1);
  const auto half = gaps(grant("vm = \"*\"", "\"vmsec.IoControl\""));
  REQUIRE(half.findings.findings.size() == 1);
  CHECK_THAT(half.findings.findings[0].message,
             Catch::Contains("line 5") && Catch::Contains("add vmsec.DomainControl"));
  CHECK(gaps(grant("vm = \"*-1\"", "") + grant("vm = \"web-*\"", "")).findings.findings.size() == 1);

  for (const auto* by : {"vm = \"*\"", "vm = \"web-*\""}) {
    const auto enough = gaps(grant(by, all));
    CHECK((enough.findings.findings.empty() && enough.warnings.findings.empty()));
  }
  // An exception before it is meant.
  CHECK(gaps(grant("vm = \"web-9\"", "") + grant("vm = \"web-*\"", all)).warnings.findings.empty());
  for (const auto* by : {"vm = \"web-1*\"", "vm = \"*-1\"", "tag = \"batch\""}) {
    INFO(by);
    const auto some = gaps(grant(by, all));
    CHECK(some.findings.findings.empty());
    REQUIRE(some.warnings.findings.size() == 1);
    CHECK_THAT(some.warnings.findings[0].message, Catch::Contains("act on all of VM \"web-*\""));
  }
  CHECK(good("version = 1\n[[vm]]\nmatch = \"a\"\n[vm.quiet]\n").check_grants(loaded).findings.findings.empty());
}

TEST_CASE("policy: an empty section is there") {
  const Policy policy = good("version = 1\n[[vm]]\nmatch = \"*\"\n[vm.isolation]\n");
  REQUIRE(policy.section("a", {}, "isolation") != nullptr);
  CHECK(policy.section("a", {}, "isolation")->settings.settings.empty());
  CHECK(policy.section("a", {}, "throttle") == nullptr);
  REQUIRE(policy.vm_rules().size() == 1);
  REQUIRE(policy.vm_rules()[0].sections.size() == 1);
  CHECK(policy.vm_rules()[0].sections[0].name == "isolation");
}

TEST_CASE("policy: a file that cannot be read is a finding that names it") {
  const auto missing = Policy::read("/nonexistent/policy.toml");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().findings.at(0).line == 0);
  CHECK_THAT(missing.error().findings.at(0).message, Catch::Contains("/nonexistent/policy.toml"));
  CHECK_FALSE(Policy::read("/"));
  const auto endless = Policy::read("/dev/zero");
  REQUIRE_FALSE(endless);
  CHECK_THAT(endless.error().findings.at(0).message, Catch::Contains("1048576"));
}

TEST_CASE("settings: any configuration in TOML is flattened, lists of tables by number") {
  const auto settings = parse_settings(
      "name = \"host-a\"\n[backend]\nuri = \"qemu:///system\"\n[[peer]]\nname = \"b\"\n[[peer]]\nname = \"c\"\n"
      "[peer.tls]\nkey = \"k\"\n",
      "vmsecd.toml");
  REQUIRE(settings);
  std::vector<std::string> paths;
  for (const auto& setting : settings->settings) paths.push_back(setting.path);
  std::ranges::sort(paths);
  CHECK(paths == std::vector<std::string>{"backend.uri", "name", "peer[0].name", "peer[1].name", "peer[1].tls.key"});
}

TEST_CASE("settings: each bad file is an error that begins with file, line and column") {
  using namespace std::string_literals;
  struct Bad {
    std::string text;
    const char* begins;
    const char* cause;
  };
  for (const Bad& bad : {Bad{"a = ", "f.toml:1:5: ", "not TOML"}, Bad{"a = 1\na = 2\n", "f.toml:2:5: ", "not TOML"},
                         Bad{"a = [1, \"b\"]\n", "f.toml:1:9: ", "only texts or only integers"},
                         Bad{"a = [{}, 1]\n", "f.toml:1:10: ", "holds only tables"},
                         Bad{"a = 12:30:00\n", "f.toml:1:5: ", "dates and times"},
                         Bad{"a = nan\n", "f.toml:1:5: ", "nan"}, Bad{"a = \"\\u0000\"\n", "f.toml:1:5: ", "NUL"},
                         Bad{"a = 1\n\0"s, "f.toml:2:1: ", "NUL"}, Bad{"\xff", "f.toml:1:1: ", "not UTF-8"}}) {
    INFO(bad.text);
    const auto settings = parse_settings(bad.text, "f.toml");
    REQUIRE_FALSE(settings);
    CHECK(settings.error().code == Code::invalid_argument);
    CHECK_THAT(settings.error().message, Catch::StartsWith(bad.begins) && Catch::Contains(bad.cause));
  }
  const auto missing = read_settings("/nonexistent/vmsecd.toml");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == Code::not_found);
}

}  // namespace
}  // namespace vmsec
