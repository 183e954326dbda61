// Each bad policy is refused with the line, the column and the cause.
#include <catch2/catch.hpp>

#include "vmsec/policy.hpp"

namespace vmsec {
namespace {

using namespace std::string_literals;

struct Bad {
  const char* what;
  std::string text;
  std::uint32_t line;
  std::uint32_t column;
  const char* fragment;
};

std::string repeated(const std::string& part, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += part;
  return out;
}

const std::string kHead = "version = 1\n";
const std::string kVm = kHead + "[[vm]]\nmatch = \"a\"\n";

std::vector<Bad> bad_policies() {
  return {
      // Not TOML at all.
      {"empty", "", 1, 1, "version is missing"},
      {"only a comment", "# nothing\n", 1, 1, "version is missing"},
      {"truncated string", kHead + "[[vm]]\nmatch = \"web-", 3, 14, "not TOML"},
      {"truncated table", kHead + "[[vm", 2, 5, "not TOML"},
      {"truncated list", kHead + "[[grant]]\ninterfaces = [\"vmsec.IoControl\",", 3, 33, "not TOML"},
      {"no value", kHead + "[[vm]]\nmatch =\n", 3, 8, "not TOML"},
      {"a word as a value", kHead + "[[vm]]\nmatch = web\n", 3, 9, "not TOML"},
      {"two values on a line", "version = 1 2\n", 1, 13, "not TOML"},
      {"an integer beyond 64 bits", "version = 99999999999999999999999\n", 1, 34, "not TOML"},
      {"a NUL", "version = 1\n\0"s, 2, 1, "NUL"},
      {"a NUL in a string", kHead + "[[vm]]\nmatch = \"we\0b\"\n"s, 3, 12, "NUL"},
      {"an escaped NUL in a pattern", kHead + "[[vm]]\nmatch = \"a\\u0000\"\n", 3, 9, "NUL"},
      {"an escaped NUL in a value", kVm + "[vm.isolation]\ncpu_quota = \"1\\u00000%\"\n", 5, 13, "NUL"},
      {"an escaped NUL in a list", kVm + "[vm.x]\nlist = [\"a\", \"\\u0000\"]\n", 5, 14, "NUL"},
      {"an escaped NUL in a key", kVm + "[vm.isolation]\n\"cpu\\u0000\" = 1\n", 5, 1, "NUL"},
      {"invalid UTF-8", kHead + "# caf\xe9\n", 2, 6, "not UTF-8"},
      {"an overlong UTF-8 form", kHead + "# \xc0\xaf\n", 2, 3, "not UTF-8"},
      {"half a surrogate", kHead + "# \xed\xa0\x80\n", 2, 3, "not UTF-8"},
      {"a header without a name", kHead + "[ =,\n", 2, 1, "no name of a table follows ["},
      {"a list header without a name", kHead + "[[\n", 2, 1, "no name of a table follows ["},
      {"a header with an empty name", kHead + "[]\n", 2, 2, "not TOML"},
      {"a brace that closes a bracket", kHead + "a = [1,}\n", 2, 8, "closes nothing that is open"},
      {"a bracket too many", kHead + "a = [1]]\n", 2, 8, "closes nothing that is open"},
      {"a text within a number", kHead + "a = 1.'\u00e9'\n", 2, 7, "cannot stand within a value"},
      {"a list within a number", kHead + "a = 1['\u00e9']\n", 2, 6, "cannot stand within a value"},
      {"two equals signs", kHead + "a = 1='\u00e9'\n", 2, 6, "cannot stand within a value"},
      {"a text within a number of a table", kHead + "a = {b = 1'\u00e9'}\n", 2, 11, "cannot stand within a value"},
      {"a key beyond ASCII", kHead + "caf\u00e9 = 1\n", 2, 4, "beyond ASCII"},
      {"whitespace beyond ASCII", kHead + "[[vm]]\u2003\n", 2, 7, "beyond ASCII"},
      {"a joined line beyond ASCII", kVm + "[vm.x]\nt = \"\"\"a\\\n  \u00e9\"\"\"\n", 5, 5, "beyond ASCII"},
      {"a bare control character", kHead + "\x01 = 2\n", 2, 1, "not TOML"},
      // Sizes.
      {"more than 1 MiB", kHead + "#" + std::string(1 << 20, 'x'), 0, 0, "at most 1048576 are read"},
      {"deep lists", kHead + "x = " + std::string(17, '[') + std::string(17, ']') + "\n", 2, 21, "nest too deeply"},
      {"very deep lists", kHead + "x = " + std::string(100'000, '['), 2, 21, "nest too deeply"},
      {"deep inline tables", kHead + "x = " + repeated("{a=", 17) + "1" + repeated("}", 17) + "\n", 2, 53,
       "nest too deeply"},
      {"a key of a thousand parts", kHead + "a" + repeated(".a", 1000) + " = 1\n", 2, 34, "nest too deeply"},
      {"a header of half a million parts", kHead + "[a" + repeated(".a", 500'000) + "]\n", 2, 35, "nest too deeply"},
      {"a deep key behind a long string", kHead + "x = [{s = \"\"\"q\"\"\"\"\", a" + repeated(".a", 17) + " = 1}]\n", 2,
       55, "nest too deeply"},
      {"too many rules", kHead + repeated("[[vm]]\n", 1001), 2, 1, "1001 [[vm]] rules: at most 1000"},
      {"a pattern of a megabyte, nearly", kHead + "[[vm]]\nmatch = \"" + std::string(1'000'000, 'x') + "\"\n", 3, 9,
       "1000000 bytes: want 1 to 128"},
      // Duplicates.
      {"a key twice", "version = 1\nversion = 1\n", 2, 11, "not TOML"},
      {"a section twice", kVm + "[vm.isolation]\n[vm.isolation]\n", 5, 1, "not TOML"},
      {"a value and a table of one name", kVm + "[vm.x]\ndisk = 1\n[vm.x.disk.vda]\nread = 1\n", 7, 1, "not TOML"},
      {"one interface twice",
       kHead + "[[grant]]\nmodule = \"m\"\nvm = \"*\"\ninterfaces = [\"vmsec.Events\", \"vmsec.Events\"]\n", 5, 31,
       "listed twice"},
      // The version.
      {"no version", "[[vm]]\nmatch = \"*\"\n", 1, 1, "version is missing"},
      {"a later version", "version = 2\n", 1, 11, "version 2 is not known here"},
      {"version as a text", "version = \"1\"\n", 1, 11, "version is a text: want version = 1"},
      {"version as a date", "version = 2024-01-01\n", 1, 11, "version is a date or time"},
      // Keys.
      {"an unknown key at the top", kHead + "colour = \"red\"\n", 2, 1, "unknown key \"colour\""},
      {"an unknown table at the top", kHead + "[grants]\n", 2, 2, "unknown key \"grants\""},
      {"an unknown key in [[vm]]", kVm + "cpu_quota = \"20%\"\n", 4, 1, "unknown key \"cpu_quota\" in [[vm]]"},
      {"an unknown key in [[grant]]", kHead + "[[grant]]\nmodule = \"m\"\nvm = \"*\"\ninterfaces = []\nallow = true\n",
       6, 1, "unknown key \"allow\" in [[grant]]"},
      {"a setting for the whole host", kHead + "[host]\nname = \"a\"\n", 3, 1, "[host.name]: a policy has no settings"},
      {"a section for the whole host", kHead + "[host.isolation]\ncpu_quota = \"1%\"\n", 2, 1,
       "[host.isolation]: a policy has no settings"},
      {"an empty [host]", kHead + "[host]\n", 2, 1, "[host]: a policy has no settings"},
      // Types.
      {"[vm] for [[vm]]", kHead + "[vm]\nmatch = \"*\"\n", 2, 1, "vm is a table: write [[vm]]"},
      {"[grant] for [[grant]]", kHead + "[grant]\n", 2, 1, "grant is a table: write [[grant]]"},
      {"vm as a text", kHead + "vm = \"web\"\n", 2, 6, "vm is a text: write [[vm]]"},
      {"vm as a list of texts", kHead + "vm = [\"web\"]\n", 2, 7, "vm holds a text: write [[vm]]"},
      {"host as a list", kHead + "host = [1]\n", 2, 8, "[host]: a policy has no settings"},
      {"match as a number", kHead + "[[vm]]\nmatch = 5\n", 3, 9, "match is an integer: want a text"},
      {"match as a list", kHead + "[[vm]]\nmatch = [\"a\", \"b\"]\n", 3, 9, "match is a list: want a text"},
      {"tag as a boolean", kHead + "[[vm]]\ntag = true\n", 3, 7, "tag is true or false: want a text"},
      {"module as a number", kHead + "[[grant]]\nmodule = 1\nvm = \"*\"\ninterfaces = []\n", 3, 10,
       "module is an integer"},
      {"interfaces as a text", kHead + "[[grant]]\nmodule = \"m\"\nvm = \"*\"\ninterfaces = \"vmsec.Events\"\n", 5, 14,
       "interfaces is a text: want a list"},
      {"an interface as a number", kHead + "[[grant]]\nmodule = \"m\"\nvm = \"*\"\ninterfaces = [1]\n", 5, 15,
       "an interface is an integer"},
      {"a date in a section", kVm + "[vm.x]\nuntil = 2024-01-01\n", 5, 9, "until: dates and times are no values here"},
      {"infinity in a section", kVm + "[vm.x]\nrate = inf\n", 5, 8, "neither infinity nor nan"},
      {"a list of lists", kVm + "[vm.x]\npin = [[0], [1]]\n", 5, 8, "pin: a list holds only texts or only integers"},
      {"a mixed list", kVm + "[vm.x]\npin = [0, \"1\"]\n", 5, 11, "not a text here"},
      {"a list with a number with a point", kVm + "[vm.x]\npin = [0.5]\n", 5, 8, "not a number with a point here"},
      {"a list of tables in a section", kVm + "[[vm.x.disk]]\nname = \"vda\"\n", 4, 1, "disk: a list of tables"},
      {"a section that is a list of tables", kVm + "[[vm.x]]\n", 4, 6, "unknown key \"x\" in [[vm]]"},
      // Rules.
      {"[[vm]] without match", kHead + "[[vm]]\n[vm.isolation]\n", 2, 1, "does not say which VMs"},
      {"[[vm]] with match and tag", kHead + "[[vm]]\nmatch = \"a\"\ntag = \"b\"\n", 4, 7, "both match and tag"},
      {"an empty pattern", kHead + "[[vm]]\nmatch = \"\"\n", 3, 9, "0 bytes: want 1 to 128"},
      {"a grant without module", kHead + "[[grant]]\nvm = \"*\"\ninterfaces = []\n", 2, 1, "does not say to whom"},
      {"a grant without interfaces", kHead + "[[grant]]\nmodule = \"m\"\nvm = \"*\"\n", 2, 1, "does not say what"},
      {"a grant without vm", kHead + "[[grant]]\nmodule = \"m\"\ninterfaces = []\n", 2, 1, "does not say which VMs"},
      {"an interface that there is not",
       kHead + "[[grant]]\nmodule = \"m\"\nvm = \"*\"\ninterfaces = [\"vmsec.Root\"]\n", 5, 15,
       "no interface \"vmsec.Root\" can be granted: want one of vmsec.DomainControl"},
      {"what is for operators alone",
       kHead + "[[grant]]\nmodule = \"m\"\nvm = \"*\"\ninterfaces = [\"vmsec.Interchange\"]\n", 5, 15,
       "vmsec.Interchange cannot be granted: it is for who operates the host and for no module"},
      {"an interface without its package",
       kHead + "[[grant]]\nmodule = \"m\"\nvm = \"*\"\ninterfaces = [\"IoControl\"]\n", 5, 15,
       "no interface \"IoControl\""},
      {"every interface at once", kHead + "[[grant]]\nmodule = \"m\"\nvm = \"*\"\ninterfaces = [\"*\"]\n", 5, 15,
       "no interface \"*\""},
      // Rules that never match.
      {"a rule behind one for all", kHead + "[[vm]]\nmatch = \"*\"\n[[vm]]\nmatch = \"web\"\n", 4, 1,
       "VM \"web\" can never match: the rule at line 2"},
      {"a tag behind a rule for all", kHead + "[[vm]]\nmatch = \"*\"\n[[vm]]\ntag = \"web\"\n", 4, 1,
       "tag \"web\" can never match"},
      {"the same rule twice", kHead + "[[vm]]\nmatch = \"web-?\"\n[[vm]]\nmatch = \"web-?\"\n", 4, 1,
       "can never match"},
      {"a narrower rule behind a wider", kHead + "[[vm]]\nmatch = \"w*b\"\n[[vm]]\nmatch = \"web-*-b\"\n", 4, 1,
       "can never match"},
      {"a denial behind a grant",
       kHead + "[[grant]]\nmodule = \"m\"\nvm = \"*\"\ninterfaces = [\"vmsec.Events\"]\n"
               "[[grant]]\nmodule = \"m\"\nvm = \"db\"\ninterfaces = []\n",
       6, 1, "[[grant]] of \"m\" for VM \"db\" can never match: the rule at line 2"},
      // Tenants.
      {"[tenant] for [[tenant]]", kHead + "[tenant]\n", 2, 1, "tenant is a table: write [[tenant]]"},
      {"a tenant without a name", kHead + "[[tenant]]\nvm = \"a\"\noffers = []\n", 2, 1, "does not say who it is"},
      {"a tenant without VMs", kHead + "[[tenant]]\nname = \"a\"\noffers = []\n", 2, 1, "does not say which VMs"},
      {"a tenant without offers", kHead + "[[tenant]]\nname = \"a\"\nvm = \"a\"\n", 2, 1,
       "does not say what it may choose"},
      {"a tenant with vm and tag", kHead + "[[tenant]]\nname = \"a\"\nvm = \"a\"\ntag = \"b\"\noffers = []\n", 5, 7,
       "both vm and tag"},
      {"a tenant's name as a number", kHead + "[[tenant]]\nname = 1\nvm = \"a\"\noffers = []\n", 3, 8,
       "name is an integer"},
      {"offers as a text", kHead + "[[tenant]]\nname = \"a\"\nvm = \"a\"\noffers = \"m\"\n", 5, 10,
       "offers is a text: want a list"},
      {"an offer as a number", kHead + "[[tenant]]\nname = \"a\"\nvm = \"a\"\noffers = [1]\n", 5, 11,
       "an offered module is an integer"},
      {"an offer twice", kHead + "[[tenant]]\nname = \"a\"\nvm = \"a\"\noffers = [\"m\", \"m\"]\n", 5, 16,
       "\"m\" is offered twice"},
      {"an unknown key in [[tenant]]", kHead + "[[tenant]]\nname = \"a\"\nvm = \"a\"\noffers = []\nuser = \"x\"\n", 6,
       1, "unknown key \"user\" in [[tenant]]"},
      {"a tenant twice",
       kHead + "[[tenant]]\nname = \"a\"\nvm = \"a\"\noffers = []\n[[tenant]]\nname = \"a\"\nvm = \"b\"\noffers = []\n",
       7, 8, "a tenant \"a\" is there already, at line 2"},
      {"a tenant who has no VM behind another",
       kHead + "[[tenant]]\nname = \"a\"\nvm = \"*\"\noffers = []\n[[tenant]]\nname = \"b\"\nvm = \"b\"\noffers = []\n",
       6, 1, "[[tenant]] for VM \"b\" can never match"},
      // Names that look like cycles are names and nothing else; this one is a typing error.
      {"a section within its own name", kHead + "[vm.vm.vm]\nvm = \"vm\"\n", 2, 1, "vm is a table: write [[vm]]"},
  };
}

TEST_CASE("policy: each bad policy is refused with line, column and cause") {
  const auto table = bad_policies();
  CHECK(table.size() >= 40);
  for (const Bad& bad : table) {
    INFO(bad.what);
    const auto policy = Policy::parse(bad.text);
    REQUIRE_FALSE(policy);
    REQUIRE_FALSE(policy.error().findings.empty());
    const Finding& first = policy.error().findings.front();
    CHECK_THAT(first.message, Catch::Contains(bad.fragment));
    CHECK(first.line == bad.line);
    CHECK(first.column == bad.column);
    CHECK(first.message.find('\0') == std::string::npos);
    CHECK(first.message.size() < 600);
  }
}

TEST_CASE("policy: all findings come at once, in the order of the file") {
  const auto policy = Policy::parse(
      "version = 3\n"
      "colour = 1\n"
      "[[vm]]\n"
      "match = 4\n"
      "[[grant]]\n"
      "module = \"m\"\n"
      "vm = \"*\"\n"
      "interfaces = [\"vmsec.No\", 7]\n"
      "[host]\n"
      "x = 1\n");
  REQUIRE_FALSE(policy);
  std::vector<std::uint32_t> lines;
  for (const auto& finding : policy.error().findings) lines.push_back(finding.line);
  CHECK(lines == std::vector<std::uint32_t>{1, 2, 4, 8, 8, 10});
}

TEST_CASE("policy: findings are bounded") {
  std::string text = kHead;
  for (int i = 0; i < 5000; ++i) text += "k" + std::to_string(i) + " = 1\n";
  const auto policy = Policy::parse(text);
  REQUIRE_FALSE(policy);
  CHECK(policy.error().findings.size() == PolicyLimits::kFindings);
}

TEST_CASE("policy: a good policy that is cut anywhere is refused or means less, and never crashes") {
  const std::string whole = kVm +
                            "[vm.isolation]\ncpu_quota = \"20%\"\n[[grant]]\nmodule = \"isolation\"\nvm = \"a*\"\n"
                            "interfaces = [\"vmsec.ResourceControl\", \"vmsec.DomainControl\"]\n";
  REQUIRE(Policy::parse(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto policy = Policy::parse(std::string_view(whole).substr(0, size));
    if (policy && size + 1 < whole.size()) CHECK_FALSE(policy->grants("isolation", "a", {}, "vmsec.ResourceControl"));
  }
}

}  // namespace
}  // namespace vmsec
