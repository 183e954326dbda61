// What a policy allows, and its author hardly meant: a warning with its place.
#include <catch2/catch.hpp>

#include "vmsec/policy.hpp"

namespace vmsec {
namespace {

const std::vector<ModuleOutline> kLoaded = {{"scanner", "", {"vmsec.DomainControl", "vmsec.MemoryAccess"}},
                                            {"migration", "", {"vmsec.DomainControl", "vmsec.Migration"}}};

Policy parsed(const std::string& text) {
  auto policy = Policy::parse("version = 1\n" + text);
  if (!policy) FAIL(describe(policy.error(), "policy"));
  return std::move(*policy);
}

std::vector<Finding> lint(const std::string& text) { return parsed(text).lint(kLoaded).findings; }

std::string grant(const std::string& module, const std::string& by, const std::string& interfaces) {
  return "[[grant]]\nmodule = \"" + module + "\"\n" + by + "\ninterfaces = [" + interfaces + "]\n";
}

std::string tenant(const std::string& name, const std::string& by, const std::string& offers) {
  return "[[tenant]]\nname = \"" + name + "\"\n" + by + "\noffers = [" + offers + "]\n";
}

struct Warned {
  const char* what;
  std::string text;
  std::uint32_t line;
  const char* fragment;
};

}  // namespace

TEST_CASE("lint: each warning has its place and its cause") {
  const std::string scanner = grant("scanner", "vm = \"acme-*\"", "\"vmsec.MemoryAccess\"");
  const std::vector<Warned> all = {
      {"an interface that the module does not need", grant("scanner", "vm = \"a\"", "\"vmsec.IoControl\""), 2,
       "[[grant]] to \"scanner\": vmsec.IoControl is nothing that its manifest needs"},
      {"memory of every VM", grant("scanner", "vm = \"*\"", "\"vmsec.MemoryAccess\""), 2,
       "vmsec.MemoryAccess on every VM"},
      {"memory of every VM, by another pattern", grant("scanner", "vm = \"**\"", "\"vmsec.MemoryAccess\""), 2,
       "vmsec.MemoryAccess on every VM"},
      {"to move every VM", grant("migration", "vm = \"*\"", "\"vmsec.Migration\""), 2, "vmsec.Migration on every VM"},
      {"an offer that nothing is granted for", tenant("acme", "vm = \"acme-*\"", "\"scanner\""), 2,
       "to choose \"scanner\" has no effect: no [[grant]]"},
      {"an offer of what is denied first",
       grant("scanner", "vm = \"ac*\"", "") + grant("scanner", "tag = \"x\"", "\"vmsec.MemoryAccess\"") +
           tenant("acme", "vm = \"acme-*\"", "\"scanner\""),
       10, "has no effect"},
      {"tenants whose patterns may match one VM",
       scanner + tenant("acme", "vm = \"acme-*\"", "") + tenant("prod", "vm = \"*-prod\"", ""), 10,
       "may share VMs with [[tenant]] \"acme\" at line 6"},
  };
  for (const Warned& each : all) {
    INFO(each.what << "\n" << each.text);
    const auto found = lint(each.text);
    REQUIRE(found.size() == 1);
    CHECK(found[0].line == each.line);
    CHECK(found[0].column == 1);
    CHECK_THAT(found[0].message, Catch::Contains(each.fragment));
  }
}

TEST_CASE("lint: what is meant is no warning") {
  CHECK(lint(grant("scanner", "vm = \"acme-*\"", "\"vmsec.MemoryAccess\", \"vmsec.DomainControl\"") +
             grant("migration", "tag = \"mobile\"", "\"vmsec.Migration\"") +
             grant("unknown", "vm = \"*\"", "\"vmsec.IoControl\"") + tenant("acme", "vm = \"acme-*\"", "\"scanner\"") +
             tenant("globex", "vm = \"globex-*\"", "") + tenant("tagged", "tag = \"t\"", ""))
            .empty());
  CHECK(lint(grant("scanner", "vm = \"*\"", "\"vmsec.DomainControl\"")).empty());
}

TEST_CASE("tenants: an offer of a module that is not loaded is a finding") {
  const auto found = parsed(tenant("acme", "vm = \"acme-*\"", "\"scaner\"")).check_modules(kLoaded).findings;
  REQUIRE(found.size() == 1);
  CHECK(found[0].line == 2);
  CHECK_THAT(found[0].message, Catch::Contains("[[tenant]] \"acme\" is offered \"scaner\": no such module"));
}

TEST_CASE("tenants: the first rule that matches has the VM") {
  const Policy policy = parsed(tenant("one", "vm = \"acme-1\"", "\"scanner\"") + tenant("acme", "vm = \"acme-*\"", "") +
                               tenant("tagged", "tag = \"t\"", ""));
  const std::vector<std::string> tags = {"t"};
  CHECK(policy.tenant_of("acme-1", tags)->name == "one");
  CHECK(policy.tenant_of("acme-2", tags)->name == "acme");
  CHECK(policy.tenant_of("db", tags)->name == "tagged");
  CHECK(policy.tenant_of("db", {}) == nullptr);
  CHECK(policy.tenant("acme")->line == 6);
  CHECK(policy.tenant("nobody") == nullptr);
  CHECK(policy.is_offered("scanner"));
  CHECK_FALSE(policy.is_offered("migration"));
}

}  // namespace vmsec
