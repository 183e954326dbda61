// What tenants may choose for their VMs, and what a module may do by that.
#include "host/tenant_service.hpp"
#include "libvmsec/host/toys.hpp"
#include "vmsec/module.hpp"

namespace vmsec::test {
namespace {

using namespace host;

const DomainRef kAcme{uuid_of(1)};
const DomainRef kOther{uuid_of(2)};
const std::string kGrants = grant("guard", "*", R"("vmsec.DomainControl")");
const std::string kTenants =
    "[[tenant]]\nname = \"acme\"\nvm = \"acme-*\"\noffers = [\"guard\"]\n"
    "[[tenant]]\nname = \"globex\"\ntag = \"globex\"\noffers = []\n";

struct Bench {
  Bench() {
    backend.domains = {domain(1, "acme-1"), domain(2, "db-1", {"globex"}), domain(3, "acme-2")};
    good(ledger.keep_in(dir.path() / "grants"));
    grants.replace(policy(kGrants + kTenants));
  }
  Code choose(const std::string& tenant, const DomainRef& vm, const std::string& module = "guard") {
    return code_of(tenants.choose({tenant, vm.domain, module, {}, {}}, "user 0 for alice"));
  }
  Code drop(const std::string& tenant, const DomainRef& vm) {
    return code_of(tenants.drop({tenant, vm.domain, "guard", {}, {}}, "user 0"));
  }
  Code pause(const DomainRef& vm) { return code_of(good(HostLink(link.host()).open<DomainControl>())->pause(vm)); }
  std::string idle() { return good(tenants.list({"acme"})).tenants.at(0).choices.at(0).idle; }

  TempDir dir;
  FakeBackend backend;
  Capabilities capabilities{backend};
  Grants grants{false};
  GrantLedger ledger{grants};
  std::vector<AuditEntry> records;
  std::vector<AuditEntry> refusals;
  bool disk_full = false;
  TenantService tenants{capabilities, grants, ledger,
                        [this](const AuditEntry& entry) -> Status {
                          if (disk_full) return fail(Code::io, "the disk is full");
                          records.push_back(entry);
                          return {};
                        },
                        [this](const std::string&, const AuditEntry& entry) { refusals.push_back(entry); }};
  ModuleLink link{loader::Manifest{"guard", "1", "", "", {}, {"vmsec.DomainControl"}, {}}, capabilities, grants,
                  nullptr};
};

}  // namespace

TEST_CASE("an offered module acts on a VM only when its tenant has chosen it") {
  Bench bench;
  CHECK(bench.pause(kAcme) == Code::denied);
  CHECK(bench.pause(kOther) == Code::denied);  // granted on *, but offered: another's tenant cannot choose it
  CHECK(bench.choose("acme", kAcme) == Code::ok);
  CHECK(bench.pause(kAcme) == Code::ok);
  CHECK(bench.pause({uuid_of(3)}) == Code::denied);  // chosen VM by VM
  CHECK(good(good(HostLink(bench.link.host()).open<DomainControl>())->list({})).domains.size() == 1);
  REQUIRE(bench.records.size() == 2);
  CHECK(bench.records[0].outcome == Outcome::unknown);
  CHECK(bench.records[1].action == "tenant.choose");
  CHECK(bench.records[1].domain == uuid_of(1));
  CHECK_THAT(bench.records[1].detail, Catch::Contains("tenant \"acme\" chooses module \"guard\" for VM \"acme-1\"") &&
                                          Catch::Contains("by user 0 for alice"));
  CHECK(bench.idle().empty());
  CHECK(bench.choose("acme", kAcme) == Code::ok);  // again: nothing new
  CHECK(bench.records.size() == 2);

  SECTION("and no more when it was dropped") {
    CHECK(bench.drop("globex", kAcme) == Code::not_found);
    CHECK(bench.drop("acme", kAcme) == Code::ok);
    CHECK(bench.pause(kAcme) == Code::revoked);
    CHECK(bench.drop("acme", kAcme) == Code::not_found);
    CHECK(bench.records.back().action == "tenant.drop");
  }
  SECTION("a choice gives nothing that no [[grant]] gives") {
    bench.grants.replace(policy(kTenants));
    CHECK(bench.pause(kAcme) == Code::revoked);
    CHECK_THAT(bench.idle(), Catch::Contains("no [[grant]]"));
  }
  SECTION("and nothing that an operator withdrew") {
    good(bench.ledger.take([](GrantState& state) -> Status {
      state.last_id = 1;
      state.withdrawals.push_back({1, "guard", "*", {}, {}, "why", "user 0", {}, {}});
      return {};
    }));
    CHECK(bench.pause(kAcme) == Code::revoked);
    CHECK_THAT(bench.idle(), Catch::Contains("withdrew"));
  }
  SECTION("a VM that leaves its tenant leaves the choice behind") {
    bench.backend.domains[0].name = "mine-1";
    bench.capabilities.names().announce(uuid_of(1), "x");  // asks the backend anew
    CHECK(bench.pause(kAcme) == Code::revoked);
    CHECK_THAT(bench.idle(), Catch::Contains("no longer this tenant's"));
  }
  SECTION("an offer that ends takes the choice along") {
    bench.grants.replace(policy(kGrants + "[[tenant]]\nname = \"acme\"\nvm = \"acme-*\"\noffers = [\"other\"]\n" +
                                "[[tenant]]\nname = \"x\"\nvm = \"x\"\noffers = [\"guard\"]\n"));
    CHECK(bench.pause(kAcme) == Code::revoked);
    CHECK_THAT(bench.idle(), Catch::Contains("no longer offered"));
  }
  SECTION("another tenant's VM by a policy's change keeps no choice") {
    bench.grants.replace(
        policy(kGrants + "[[tenant]]\nname = \"new\"\nvm = \"acme-1\"\noffers = [\"guard\"]\n" + kTenants));
    CHECK(bench.pause(kAcme) == Code::revoked);
    CHECK(bench.choose("acme", kAcme) == Code::denied);
    CHECK(bench.choose("new", kAcme) == Code::ok);
    CHECK(bench.pause(kAcme) == Code::ok);
    CHECK(bench.grants.standing()->choices.size() == 1);
  }
  SECTION("the choice outlives the process") {
    Grants after(false);
    GrantLedger ledger(after);
    good(ledger.keep_in(bench.dir.path() / "grants"));
    after.replace(policy(kGrants + kTenants));
    const About acme{uuid_of(1), {"acme-1", {}}};
    CHECK(after.allows("guard", &acme, "vmsec.DomainControl"));
    const About namesake{uuid_of(9), {"acme-1", {}}};  // a new VM of the same name was not chosen for
    CHECK(after.rule("guard", &namesake, "vmsec.DomainControl") == Ruling::not_chosen);
  }
}

TEST_CASE("a module that is offered to nobody is the operator's") {
  Bench bench;
  bench.grants.replace(policy(kGrants + "[[tenant]]\nname = \"acme\"\nvm = \"acme-*\"\noffers = [\"other\"]\n"));
  CHECK(bench.pause(kAcme) == Code::ok);
  CHECK(bench.pause(kOther) == Code::ok);
}

TEST_CASE("a tenant chooses what it is offered, for its own VMs; all else is refused and told") {
  Bench bench;
  CHECK(bench.choose("acme", kOther) == Code::denied);
  CHECK(bench.choose("acme", {uuid_of(9)}) ==
        Code::denied);  // none: the same answer, of another's VM nothing is learnt
  CHECK(bench.choose("globex", kOther) == Code::denied);
  CHECK(bench.choose("nobody", kAcme) == Code::denied);
  CHECK(bench.choose("acme", kAcme, "migration") == Code::denied);
  CHECK(bench.refusals.size() == 5);
  CHECK(bench.refusals[0].action == "tenant.choose");
  CHECK(bench.refusals[0].outcome == Outcome::refused);
  CHECK(bench.choose("acme", {}) == Code::invalid_argument);
  CHECK(bench.choose("acme", kAcme, "") == Code::invalid_argument);
  CHECK(bench.records.empty());
  CHECK(bench.grants.standing()->choices.empty());
  bench.disk_full = true;
  CHECK(bench.choose("acme", kAcme) == Code::io);
  CHECK(bench.pause(kAcme) == Code::denied);
}

TEST_CASE("the first tenant that matches a VM has it, and each sees its own alone") {
  Bench bench;
  bench.grants.replace(
      policy(kGrants + "[[tenant]]\nname = \"one\"\nvm = \"acme-1\"\noffers = [\"guard\"]\n" + kTenants));
  const auto all = good(bench.tenants.list({})).tenants;
  REQUIRE(all.size() == 3);
  CHECK(all[0].domains.size() == 1);
  REQUIRE(all[1].domains.size() == 1);
  CHECK(all[1].domains[0].name == "acme-2");
  CHECK(all[2].vms == "tag \"globex\"");
  CHECK(code_of(bench.tenants.list({"nobody"})) == Code::not_found);
}

}  // namespace vmsec::test
