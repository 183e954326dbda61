// What an operator takes back at run time, and what that leaves: calls, migrations, restarts, other policies.
#include "host/grant_service.hpp"
#include "host/modules_service.hpp"
#include "libvmsec/host/toys.hpp"
#include "vmsec/module.hpp"

namespace vmsec::test {
namespace {

using namespace host;

const DomainRef kWeb{uuid_of(1)};
const DomainRef kDb{uuid_of(2)};
const std::string kAll = R"("vmsec.DomainControl", "vmsec.ResourceControl", "vmsec.Migration")";

// The toy module, loaded, and a link of the same name that needs more.
struct Bench {
  Bench() {
    toys.backend.domains = {domain(1, "web-1", {"batch"}), domain(2, "db-1")};
    good(ledger.keep_in(dir.path() / "grants"));
    toys.grants.replace(policy(grant("toy", "*", kAll)));
  }
  template <class I>
  std::unique_ptr<I> open() {
    return good(HostLink(link.host()).open<I>());
  }
  Withdrawal revoke(const std::string& vm, std::vector<std::string> interfaces = {}) {
    return good(service.revoke({"toy", vm, {}, std::move(interfaces), "advisory", {}}, "user 0"));
  }

  TempDir dir;
  Toys toys{{"toy"}};
  GrantLedger ledger{toys.grants};
  std::vector<AuditEntry> records;
  bool disk_full = false;
  GrantService service{toys.registry, toys.capabilities, toys.grants, ledger,
                       [this](const AuditEntry& entry) -> Status {
                         if (disk_full) return fail(Code::io, "the disk is full");
                         records.push_back(entry);
                         return {};
                       }};
  std::vector<std::string> refusals;
  ModuleLink link{
      loader::Manifest{"toy",
                       "1",
                       "",
                       "",
                       {},
                       {"vmsec.DomainControl", "vmsec.ResourceControl", "vmsec.Migration", "vmsec.MemoryAccess"},
                       {}},
      toys.capabilities, toys.grants,
      [this](const std::string&, std::string_view interface, std::uint32_t, const Uuid&, const std::string& cause) {
        refusals.push_back(std::string(interface) + ": " + cause);
      }};
};

PrepareIncoming arriving(unsigned number, const std::string& name) {
  PrepareIncoming request{uuid_of(7), uuid_of(number), {}, {}};
  request.description.domain = uuid_of(number);
  request.description.name = name;
  return request;
}

}  // namespace

TEST_CASE("what is withdrawn answers revoked at the next call, on the handle that the module has") {
  Bench bench;
  const auto domains = bench.open<DomainControl>();
  CHECK(domains->pause(kWeb));
  const Withdrawal done = bench.revoke("web-*");
  CHECK(done.id == 1);
  CHECK(done.domains == std::vector<std::string>{"web-1"});
  const auto refused = domains->pause(kWeb);
  CHECK(code_of(refused) == Code::revoked);
  CHECK_THAT(message_of(refused), Catch::Contains("vmsec.DomainControl.Pause") && Catch::Contains("\"web-1\"") &&
                                      Catch::Contains("vmsec grant restore 1") && !Catch::Contains("advisory"));
  CHECK(code_of(bench.open<ResourceControl>()->set({uuid_of(1), {}})) == Code::revoked);  // never used before
  CHECK(domains->pause(kDb));
  CHECK(good(domains->list({})).domains.size() == 1);
  REQUIRE(bench.refusals.size() == 2);
  CHECK_THAT(bench.refusals[0], Catch::Contains("an operator withdrew it on domain \"web-1\""));
  REQUIRE(bench.records.size() == 1);
  CHECK(bench.records[0].action == "grant.revoke");
  CHECK(bench.records[0].outcome == Outcome::succeeded);
  CHECK_THAT(bench.records[0].detail,
             Catch::Contains("module \"toy\" on VM \"web-*\"") && Catch::Contains("by user 0: advisory"));

  SECTION("and restored it works again, with a record of who and why") {
    CHECK(good(bench.service.restore({1, "patched", {}}, "user 0")).module == "toy");
    CHECK(domains->pause(kWeb));
    REQUIRE(bench.records.size() == 3);
    CHECK(bench.records[1].outcome == Outcome::unknown);
    CHECK(bench.records[2].action == "grant.restore");
    CHECK_THAT(bench.records[2].detail, Catch::Contains("by user 0: patched"));
    CHECK(code_of(bench.service.restore({1, "again", {}}, "user 0")) == Code::not_found);
    CHECK(bench.revoke("web-*").id == 2);  // an id is never used again
  }
  SECTION("and no policy gives it back") {
    bench.toys.grants.replace(policy(grant("toy", "web-1", kAll)));
    CHECK(code_of(domains->pause(kWeb)) == Code::revoked);
  }
}

TEST_CASE("one interface is withdrawn, or all VMs, or those of a tag") {
  Bench bench;
  const auto domains = bench.open<DomainControl>();
  const auto resources = bench.open<ResourceControl>();
  SECTION("an interface") {
    bench.revoke("*", {"vmsec.ResourceControl"});
    CHECK(code_of(resources->set({uuid_of(1), {}})) == Code::revoked);
    CHECK(code_of(resources->host({})) == Code::revoked);  // about no VM: it goes with all of them
    CHECK(domains->pause(kWeb));
  }
  SECTION("all VMs, where none is named") {
    bench.revoke("");
    CHECK(code_of(domains->pause(kWeb)) == Code::revoked);
    CHECK(code_of(domains->list({})) == Code::revoked);
    CHECK(code_of(domains->pause({uuid_of(9)})) == Code::revoked);
  }
  SECTION("a tag") {
    good(bench.service.revoke({"toy", {}, "batch", {}, "why", {}}, "user 0"));
    CHECK(code_of(domains->pause(kWeb)) == Code::revoked);
    CHECK(domains->pause(kDb));
    CHECK(resources->host({}));
  }
  SECTION("a VM that nobody knows by name may be one of them") {
    bench.revoke("web-*");
    CHECK(code_of(domains->pause({uuid_of(9)})) == Code::revoked);
  }
}

TEST_CASE("a withdrawal outlives the process, and a file that was changed stops the next one") {
  Bench bench;
  bench.revoke("web-*", {"vmsec.DomainControl"});
  const fs::path file = bench.dir.path() / "grants";
  Grants after(false);
  GrantLedger ledger(after);
  after.replace(policy(grant("toy", "*", kAll)));
  const std::string bytes = slurp(file);

  SECTION("whole") {
    good(ledger.keep_in(file));
    const About web{uuid_of(1), {"web-1", {}}};
    CHECK(after.rule("toy", &web, "vmsec.DomainControl") == Ruling::withdrawn);
    CHECK(after.rule("toy", &web, "vmsec.ResourceControl") == Ruling::allowed);
    CHECK(after.standing()->withdrawals.at(0).reason == "advisory");
  }
  SECTION("cut") {
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      spit(file, bytes.substr(0, size));
      CHECK(code_of(ledger.keep_in(file)) == Code::tampered);
    }
  }
  SECTION("turned") {
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      std::string turned = bytes;
      turned[at] = static_cast<char>(turned[at] ^ 0x20);
      spit(file, turned);
      CHECK(code_of(ledger.keep_in(file)) == Code::tampered);
    }
  }
}

TEST_CASE("a withdrawal that cannot be kept or recorded holds, and says so; a restoration does not happen") {
  Bench bench;
  const auto domains = bench.open<DomainControl>();
  SECTION("no record of the withdrawal") {
    bench.disk_full = true;
    CHECK(code_of(bench.service.revoke({"toy", {}, {}, {}, "why", {}}, "user 0")) == Code::io);
    CHECK(code_of(domains->pause(kWeb)) == Code::revoked);
  }
  SECTION("no file") {
    fs::remove_all(bench.dir.path());
    const auto done = bench.service.revoke({"toy", {}, {}, {}, "why", {}}, "user 0");
    CHECK_FALSE(done);
    CHECK_THAT(message_of(done), Catch::Contains("it holds until the agent ends"));
    CHECK(code_of(domains->pause(kWeb)) == Code::revoked);
    CHECK_FALSE(bench.service.restore({1, "why", {}}, "user 0"));
    CHECK(code_of(domains->pause(kWeb)) == Code::revoked);
  }
  SECTION("no record of the restoration") {
    bench.revoke("*");
    bench.disk_full = true;
    CHECK(code_of(bench.service.restore({1, "why", {}}, "user 0")) == Code::io);
    CHECK(code_of(domains->pause(kWeb)) == Code::revoked);
  }
}

TEST_CASE("a withdrawal names a module that is there, interfaces that are, and a reason") {
  Bench bench;
  const auto revoke = [&](GrantRevocation request) { return code_of(bench.service.revoke(request, "user 0")); };
  CHECK(revoke({"tyo", {}, {}, {}, "why", {}}) == Code::not_found);
  CHECK(revoke({"toy", {}, {}, {}, {}, {}}) == Code::invalid_argument);
  CHECK(revoke({"toy", {}, {}, {}, "two\nlines", {}}) == Code::invalid_argument);
  CHECK(revoke({"toy", {}, {}, {}, std::string(501, 'x'), {}}) == Code::invalid_argument);
  CHECK(revoke({"toy", "a", "b", {}, "why", {}}) == Code::invalid_argument);
  CHECK(revoke({"toy", std::string(129, '*'), {}, {}, "why", {}}) == Code::invalid_argument);
  CHECK(revoke({"toy", {}, {}, {"vmsec.Root"}, "why", {}}) == Code::invalid_argument);
  CHECK(revoke({"toy", {}, {}, {"vmsec.Events", "vmsec.Events"}, "why", {}}) == Code::invalid_argument);
  CHECK(bench.toys.grants.standing()->withdrawals.empty());
  CHECK(bench.records.empty());
}

TEST_CASE("a module that asks another for what its manifest does not name is on record") {
  Bench bench;
  std::vector<std::string> refusals;
  ModuleLink link(
      {"toy", "1", "", "", {}, {"vmsec.Modules"}, {}}, bench.toys.capabilities, bench.toys.grants,
      [&](const std::string& module, std::string_view interface, std::uint32_t method, const Uuid&,
          const std::string& cause) {
        refusals.push_back(module + " " + std::string(interface) + " " + std::to_string(method) + " " + cause);
      });
  Connections connections;
  link.offer<Modules>(std::make_unique<ModulesService>(
      link.manifest(), connections, [](std::string_view) { return Result<std::string>("mover"); },
      [](std::string_view, std::uint32_t, Packet) -> Result<Packet> { return Packet{}; }));
  const auto modules = good(HostLink(link.host()).open<Modules>());
  CHECK(code_of(modules->call({"vmsec.Migrator", 1, {}})) == Code::denied);
  REQUIRE(refusals.size() == 1);
  CHECK_THAT(refusals[0], Catch::StartsWith("toy vmsec.Modules 1 ") && Catch::Contains("vmsec.Migrator"));
}

TEST_CASE("a module that had guest memory mapped is known by that, and one that only read is not") {
  Bench bench;
  bench.toys.grants.replace(policy(grant("toy", "web-*", R"("vmsec.MemoryAccess")")));
  const auto memory = bench.open<MemoryAccess>();
  CHECK(code_of(memory->map(kDb)) == Code::denied);
  CHECK(memory->read({uuid_of(1), 0, Bytes{1}}));
  CHECK_FALSE(bench.link.has_mapped_memory());
  CHECK(memory->map(kWeb));
  CHECK(bench.link.has_mapped_memory());
}

TEST_CASE("the same withdrawal twice is one") {
  Bench bench;
  CHECK(bench.revoke("web-*").id == 1);
  CHECK(bench.revoke("web-*").id == 1);
  CHECK(bench.toys.grants.standing()->withdrawals.size() == 1);
  CHECK(bench.records.size() == 1);
}

TEST_CASE("a migration that had begun ends as it would, and no other begins") {
  Bench bench;
  const auto migration = bench.open<Migration>();
  CHECK(migration->prepare(arriving(5, "web-5")));
  bench.revoke("*");
  const SessionRef session{uuid_of(7), uuid_of(5)};
  CHECK(migration->holding(session));
  CHECK(code_of(migration->open({})) == Code::revoked);             // of no domain that it had begun with
  CHECK(code_of(migration->cancel(session)) == Code::unsupported);  // the backend's word: the call got there
  CHECK(code_of(migration->prepare(arriving(5, "web-5"))) == Code::revoked);
  CHECK(code_of(migration->prepare(arriving(6, "web-6"))) == Code::revoked);
  CHECK(code_of(migration->start({uuid_of(8), uuid_of(1), {}})) == Code::revoked);
  CHECK(code_of(migration->describe(kWeb)) == Code::revoked);
  CHECK(code_of(migration->holding({uuid_of(8), uuid_of(1)})) == Code::revoked);
  CHECK(code_of(bench.open<DomainControl>()->pause({uuid_of(5)})) == Code::revoked);
}

TEST_CASE("a migration that has ended leaves a withdrawn module nothing to do to its domain") {
  BegunMigrations begun;
  constexpr std::uint32_t kStart = 2, kNext = 5, kClose = 9, kHold = 11, kRelease = 15;
  CHECK_FALSE(begun.goes_on(kNext, uuid_of(1)));
  begun.note(kStart, uuid_of(1));
  CHECK(begun.goes_on(kNext, uuid_of(1)));
  CHECK(begun.goes_on(kRelease, uuid_of(1)));
  CHECK_FALSE(begun.goes_on(kStart, uuid_of(1)));
  CHECK_FALSE(begun.goes_on(77, uuid_of(1)));
  CHECK_FALSE(begun.goes_on(kNext, uuid_of(2)));
  begun.note(kRelease, uuid_of(1));
  CHECK(begun.goes_on(kClose, uuid_of(1)));
  CHECK_FALSE(begun.goes_on(kRelease, uuid_of(1)));
  CHECK_FALSE(begun.goes_on(kHold, uuid_of(1)));
  CHECK_FALSE(begun.goes_on(kNext, uuid_of(1)));
}

TEST_CASE("applying a policy says what it grants and what stays withdrawn") {
  Bench bench;
  bench.revoke("web-*");
  const std::string text =
      "version = 1\n[[vm]]\nmatch = \"*\"\n[vm.toy]\nlevel = 5\n" + grant("toy", "*", R"("vmsec.DomainControl")");
  const auto report = good(bench.toys.service.apply({text, "all.toml"}));
  REQUIRE(report.withdrawn.size() == 1);
  CHECK(report.withdrawn[0].id == 1);
  CHECK(report.withdrawn[0].domains == std::vector<std::string>{"web-1"});
  REQUIRE(report.domains.size() == 2);
  for (const auto& entry : report.domains) CHECK((entry.code == Code::revoked) == (entry.name == "web-1"));
  CHECK(good(bench.toys.service.diff({"version = 1\n" + grant("toy", "*", ""), "none.toml"})).withdrawn.empty());
}

TEST_CASE("grants and what was withdrawn of them are listed together") {
  Bench bench;
  bench.revoke("web-*", {"vmsec.Migration"});
  const auto list = good(bench.service.list());
  REQUIRE(list.grants.size() == 1);
  CHECK(list.grants[0].vms == "VM \"*\"");
  CHECK(list.grants[0].interfaces.size() == 3);
  REQUIRE(list.withdrawals.size() == 1);
  CHECK(list.withdrawals[0].by == "user 0");
}

TEST_CASE("a handle that it does not have, and a call while a policy is compared, are refusals on record") {
  Bench bench;
  const vmsec_host door = bench.link.host();
  const auto call = [&](std::uint64_t handle) {
    return sdk::call_through(door.call, door.context, {}, handle, 1, Packet{});
  };
  CHECK(code_of(call(std::uint64_t{9} << 32 | 1)) == Code::revoked);
  CHECK(bench.refusals.size() == 1);
  const auto domains = bench.open<DomainControl>();
  const Policy compared = policy(grant("toy", "*", R"("vmsec.DomainControl", "vmsec.MemoryAccess")"));
  const Grants::Preview preview(compared);
  CHECK(code_of(domains->pause(kWeb)) == Code::denied);
  REQUIRE(bench.refusals.size() == 2);
  CHECK_THAT(bench.refusals[1], Catch::Contains("nothing is changed"));
  // What it could keep when that policy never comes into force.
  CHECK(code_of(bench.open<MemoryAccess>()->map(kWeb)) == Code::denied);
  REQUIRE(bench.refusals.size() == 3);
  CHECK_THAT(bench.refusals[2], Catch::Contains("it shows nothing"));
}

}  // namespace vmsec::test
