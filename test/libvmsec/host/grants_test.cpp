// What a module may use on which domain: its manifest, the policy, and what becomes of withdrawn grants.
#include <thread>

#include "host/module_link.hpp"
#include "libvmsec/host/fake_backend.hpp"
#include "vmsec/module.hpp"
#include "vmsec/service/records.hpp"

namespace vmsec::test {
namespace {

using namespace host;

struct Refusal {
  std::string interface;
  std::uint32_t method;
  Uuid domain;
  std::string cause;
};

// A module "guard" that needs all that the fake backend has, before two domains.
struct Bench {
  explicit Bench(bool trusted = false) : grants(trusted) {
    backend.domains = {domain(1, "web-1", {"batch"}), domain(2, "db-1")};
  }
  void apply(const std::string& text) { grants.replace(policy(text)); }
  void allow(const std::string& vm, const std::string& interfaces) { apply(grant("guard", vm, interfaces)); }
  template <class I>
  std::unique_ptr<I> open() {
    return good(HostLink(link.host()).open<I>());
  }

  FakeBackend backend;
  Capabilities capabilities{backend};
  Grants grants;
  std::vector<Refusal> refusals;
  ModuleLink link{
      loader::Manifest{"guard",
                       "1",
                       "",
                       "",
                       {},
                       {"vmsec.DomainControl", "vmsec.ResourceControl", "vmsec.Events", "vmsec.Migration",
                        "vmsec.IoControl", "vmsec.Interchange", "vmsec.Nothing"},
                       {}},
      capabilities, grants,
      [this](const std::string&, std::string_view interface, std::uint32_t method, const Uuid& domain,
             const std::string& cause) { refusals.push_back({std::string(interface), method, domain, cause}); }};
};

const DomainRef kWeb{uuid_of(1)};
const DomainRef kDb{uuid_of(2)};

}  // namespace

TEST_CASE("without a policy a module may touch no domain, and the refusal is told") {
  Bench bench;
  const auto domains = bench.open<DomainControl>();
  CHECK(code_of(domains->pause(kWeb)) == Code::denied);
  CHECK(code_of(domains->list({})) == Code::denied);
  CHECK(bench.backend.calls == 0);
  REQUIRE(bench.refusals.size() == 2);
  CHECK(bench.refusals[0].interface == "vmsec.DomainControl");
  CHECK(bench.refusals[0].method == 3);
  CHECK(bench.refusals[0].domain == uuid_of(1));
  CHECK_THAT(bench.refusals[0].cause, Catch::Contains("web-1"));
}

TEST_CASE("what a module pauses and resumes is on record, and an act that cannot be recorded does not happen") {
  Bench bench;
  std::vector<AuditEntry> records;
  std::size_t room = 3;
  ModuleLink link({"guard", "1", "", "", {}, {"vmsec.DomainControl", "vmsec.ResourceControl"}, {}}, bench.capabilities,
                  bench.grants, nullptr, [&](const AuditEntry& entry) -> Status {
                    if (records.size() >= room) return fail(Code::io, "the disk is full");
                    records.push_back(entry);
                    return {};
                  });
  bench.allow("web-*", R"("vmsec.DomainControl", "vmsec.ResourceControl")");
  const auto domains = good(HostLink(link.host()).open<DomainControl>());
  CHECK(domains->pause(kWeb));
  CHECK(
      good(HostLink(link.host()).open<ResourceControl>())->set({uuid_of(1), {}}));  // modules tell of limits themselves
  REQUIRE(records.size() == 2);
  CHECK(records[0].action == "domain.pause");
  CHECK(records[0].outcome == Outcome::unknown);
  CHECK(records[0].domain == uuid_of(1));
  CHECK(records[1].outcome == Outcome::succeeded);
  const auto half = domains->resume(kWeb);
  CHECK(code_of(half) == Code::io);
  CHECK_THAT(message_of(half), Catch::Contains("done, but its end is not recorded"));
  const int calls = bench.backend.calls;
  const auto none = domains->pause(kWeb);
  CHECK(code_of(none) == Code::io);
  CHECK_THAT(message_of(none), Catch::Contains("nothing was changed"));
  CHECK(bench.backend.calls == calls);
}

TEST_CASE("a refusal names host, method and what to write into the policy") {
  Bench bench;
  Grants named{false, "host-a"};
  ModuleLink link({"guard", "1", "", "", {}, {"vmsec.DomainControl"}, {}}, bench.capabilities, named, nullptr);
  const auto domains = good(HostLink(link.host()).open<DomainControl>());
  CHECK_THAT(
      message_of(domains->pause(kWeb)),
      Catch::Contains("may not use vmsec.DomainControl.Pause on host-a: ") &&
          Catch::Contains("add [[grant]] module = \"guard\" vm = \"web-1\" interfaces = [\"vmsec.DomainControl\"]"));
  // Another rule behind the one that decides would change nothing.
  named.replace(policy(grant("guard", "web-*", R"("vmsec.Events")")));
  CHECK_THAT(message_of(domains->pause(kWeb)),
             Catch::Contains("add \"vmsec.DomainControl\" to its [[grant]] at line 2"));
}

TEST_CASE("a grant is good for its interface and its domains alone") {
  Bench bench;
  bench.allow("web-*", R"("vmsec.DomainControl")");
  const auto domains = bench.open<DomainControl>();
  CHECK(domains->pause(kWeb));
  CHECK(code_of(domains->pause(kDb)) == Code::denied);
  CHECK(code_of(domains->pause({uuid_of(9)})) == Code::denied);
  CHECK(code_of(bench.open<ResourceControl>()->set({uuid_of(1), {}})) == Code::denied);
  CHECK(code_of(bench.open<ResourceControl>()->host({})) == Code::denied);
  CHECK(bench.backend.calls == 1);
}

TEST_CASE("a withdrawn grant is revoked, what was never granted stays denied") {
  Bench bench;
  bench.allow("*", R"("vmsec.DomainControl")");
  const auto domains = bench.open<DomainControl>();
  CHECK(domains->pause(kWeb));
  CHECK(domains->list({}));
  bench.allow("db-*", R"("vmsec.ResourceControl")");
  CHECK(code_of(domains->pause(kWeb)) == Code::revoked);
  CHECK(code_of(domains->list({})) == Code::revoked);
  CHECK(code_of(domains->pause(kDb)) == Code::denied);  // it never used that one
  CHECK_THAT(message_of(domains->pause(kWeb)), Catch::Contains("no longer grants it on domain \"web-1\""));
  CHECK(bench.backend.calls == 1);

  SECTION("and granted again it works on the handle that the module has") {
    bench.allow("web-*", R"("vmsec.DomainControl")");
    CHECK(domains->pause(kWeb));
  }
}

TEST_CASE("a grant that names no interfaces withdraws what a later one gives") {
  Bench bench;
  bench.apply(grant("guard", "db-*", "") + grant("guard", "*", R"("vmsec.DomainControl")"));
  const auto domains = bench.open<DomainControl>();
  CHECK(domains->pause(kWeb));
  CHECK(code_of(domains->pause(kDb)) == Code::denied);
}

TEST_CASE("a domain that is renamed out of a grant is revoked") {
  Bench bench;
  bench.allow("web-*", R"("vmsec.DomainControl")");
  const auto domains = bench.open<DomainControl>();
  CHECK(domains->pause(kWeb));
  bench.backend.domains[0].name = "secret-1";
  bench.capabilities.names().announce(uuid_of(1), "web-1");  // asks the backend anew, and believes it
  CHECK(code_of(domains->pause(kWeb)) == Code::revoked);
}

TEST_CASE("grants by tag follow the domain's tags") {
  Bench bench;
  bench.apply("[[grant]]\nmodule = \"guard\"\ntag = \"batch\"\ninterfaces = [\"vmsec.DomainControl\"]\n");
  const auto domains = bench.open<DomainControl>();
  CHECK(domains->pause(kWeb));
  CHECK(code_of(domains->pause(kDb)) == Code::denied);
}

TEST_CASE("a list shows the domains that the module may use, and no other") {
  Bench bench;
  bench.allow("web-*", R"("vmsec.DomainControl")");
  const auto list = good(bench.open<DomainControl>()->list({}));
  REQUIRE(list.domains.size() == 1);
  CHECK(list.domains[0].name == "web-1");
}

TEST_CASE("a module hears of the domains that it may use, and of what is about none") {
  Bench bench;
  bench.backend.happened = {{1, EventKind::domain_paused, uuid_of(1), "web-1", {}, {}},
                            {2, EventKind::domain_paused, uuid_of(2), "db-1", {}, {}},
                            {3, EventKind::backend_lost, {}, {}, {}, {}}};
  bench.allow("web-*", R"("vmsec.Events")");
  const auto heard = good(bench.open<Events>()->next({}));
  REQUIRE(heard.events.size() == 2);
  CHECK(heard.events[0].name == "web-1");
  CHECK(heard.events[1].kind == EventKind::backend_lost);
  CHECK(heard.last == 3);

  bench.apply("[[grant]]\nmodule = \"guard\"\ntag = \"batch\"\ninterfaces = [\"vmsec.Events\"]\n");
  CHECK(good(bench.open<Events>()->next({})).events.size() == 2);
}

TEST_CASE("a module cannot rename a domain that is here into its grant") {
  Bench bench;
  bench.allow("web-*", R"("vmsec.DomainControl", "vmsec.Migration")");
  const auto migration = bench.open<Migration>();
  PrepareIncoming arriving{uuid_of(7), uuid_of(2), {}, {}};
  arriving.description.domain = uuid_of(2);
  arriving.description.name = "web-9";
  CHECK(code_of(migration->prepare(arriving)) == Code::denied);
  CHECK(code_of(bench.open<DomainControl>()->pause(kDb)) == Code::denied);

  SECTION("also not while the backend does not answer") {
    bench.backend.broken = true;
    CHECK(code_of(migration->prepare(arriving)) == Code::denied);
    CHECK(code_of(bench.open<DomainControl>()->pause(kDb)) == Code::denied);
  }
  CHECK(bench.backend.calls == 0);
}

TEST_CASE("a domain that is about to arrive is known by its announced name, until it is here under another") {
  Bench bench;
  bench.allow("web-*", R"("vmsec.DomainControl", "vmsec.Migration")");
  const auto migration = bench.open<Migration>();
  PrepareIncoming arriving{uuid_of(7), uuid_of(5), {}, {}};
  arriving.description.domain = uuid_of(5);
  arriving.description.name = "web-5";
  CHECK(migration->prepare(arriving));
  CHECK(migration->holding({uuid_of(7), uuid_of(5)}));
  bench.backend.domains.push_back(domain(5, "secret-5"));
  CHECK(code_of(migration->holding({uuid_of(7), uuid_of(5)})) == Code::revoked);
  CHECK(code_of(bench.open<DomainControl>()->pause({uuid_of(5)})) == Code::denied);
}

TEST_CASE("a domain that has left keeps its last name") {
  Bench bench;
  bench.allow("web-*", R"("vmsec.Migration")");
  const auto migration = bench.open<Migration>();
  CHECK(migration->holding({uuid_of(7), uuid_of(1)}));
  bench.backend.domains.clear();
  CHECK(migration->holding({uuid_of(7), uuid_of(1)}));
}

TEST_CASE("a module opens what its manifest needs, and nothing else") {
  Bench bench(true);
  const HostLink link(bench.link.host());
  CHECK(code_of(link.open<MemoryAccess>()) == Code::denied);
  CHECK(code_of(link.open<Records>()) == Code::denied);
  REQUIRE(bench.refusals.size() == 2);
  CHECK_THAT(bench.refusals[0].cause, Catch::Contains("manifest"));
}

TEST_CASE("no module gets Interchange: not by its manifest, not as trusted, and not with a handle of it") {
  Bench bench(true);
  const auto refused = HostLink(bench.link.host()).open<Interchange>();
  CHECK(code_of(refused) == Code::denied);
  CHECK_THAT(message_of(refused), Catch::Contains("vmsec.Interchange") && Catch::Contains("for no module"));
  REQUIRE(bench.refusals.size() == 1);
  CHECK(bench.refusals[0].interface == "vmsec.Interchange");
  Caller module = Caller::host();
  module.kind = Caller::Kind::module;
  for_each_method<Interchange>([&](const auto& method) {
    CHECK(code_of(bench.capabilities.call("vmsec.Interchange", method.number, {}, module)) == Code::denied);
  });
  CHECK(bench.backend.calls == 0);
}

TEST_CASE("what is defined, started and undefined is on record; what is only translated is about no domain") {
  Bench bench;
  std::vector<AuditEntry> records;
  std::vector<Uuid> checked;
  Caller caller = Caller::host();
  caller.record = [&](const AuditEntry& entry) -> Status {
    records.push_back(entry);
    return {};
  };
  caller.check = [&](std::string_view, const Uuid* domain) -> Status {
    checked.push_back(domain == nullptr ? Uuid() : *domain);
    return {};
  };
  const auto call = [&](std::uint32_t method, const auto& request) {
    return bench.capabilities.call("vmsec.Interchange", method, wire::pack(request), caller);
  };
  DefineDomain define{uuid_of(5), {}, {}};
  define.definition.domain = uuid_of(5);
  define.definition.name = "web-5";
  CHECK(call(1, define.definition));
  CHECK(call(5, kWeb));
  CHECK(records.empty());
  CHECK(call(2, define));
  CHECK(bench.capabilities.names().of(uuid_of(5)).name == "web-5");
  CHECK(call(3, kWeb));
  CHECK(call(4, kWeb));
  CHECK(checked == std::vector{Uuid(), uuid_of(1), uuid_of(5), uuid_of(1), uuid_of(1)});
  std::vector<std::string> actions;
  for (const auto& record : records) actions.push_back(record.action);
  CHECK(actions == std::vector<std::string>{"domain.define", "domain.define", "domain.start", "domain.start",
                                            "domain.undefine", "domain.undefine"});
  CHECK(records[0].outcome == Outcome::unknown);
  CHECK(records[0].domain == uuid_of(5));
  CHECK(records[1].outcome == Outcome::succeeded);

  SECTION("and what cannot be written down does not happen") {
    const int calls = bench.backend.calls;
    caller.record = [](const AuditEntry&) -> Status { return fail(Code::io, "the disk is full"); };
    CHECK(code_of(call(2, define)) == Code::io);
    CHECK(code_of(call(4, kWeb)) == Code::io);
    CHECK(bench.backend.calls == calls);
  }
}

TEST_CASE("what the backend lacks is unsupported and says whose lack it is") {
  Bench bench(true);
  const auto missing = bench.open<IoControl>()->get(kWeb);
  CHECK(code_of(missing) == Code::unsupported);
  CHECK_THAT(message_of(missing), Catch::Contains("fake has no IoControl"));
}

TEST_CASE("calls at the door that fit no handle, method or message are typed errors") {
  Bench bench(true);
  const vmsec_host host = bench.link.host();
  const auto call = [&](std::uint64_t handle, std::uint32_t method, std::string bytes) {
    return sdk::call_through(host.call, host.context, {}, handle, method, Packet{std::move(bytes), {}});
  };
  const auto domains = bench.open<DomainControl>();
  constexpr std::uint64_t kFirst = std::uint64_t{1} << 32 | 1;
  CHECK(call(kFirst, 1, {}));
  CHECK(code_of(call(kFirst + 1, 1, {})) == Code::revoked);                  // another generation
  CHECK(code_of(call(std::uint64_t{2} << 32 | 1, 1, {})) == Code::revoked);  // never opened
  CHECK(code_of(call(std::uint64_t{1} << 63 | 1, 1, {})) == Code::revoked);
  CHECK(code_of(call(1, 1, {})) == Code::revoked);
  CHECK(code_of(call(0, 2, {})) == Code::unsupported);
  CHECK(code_of(call(0, 1, "\xff\xff")) == Code::invalid_argument);
  CHECK(code_of(call(0, 1, wire::encode(OpenHandle{"vmsec.Nothing"}))) == Code::not_found);
  CHECK(code_of(call(kFirst, 77, {})) == Code::unsupported);
  const auto garbage = call(kFirst, 3,
                            "\x0a\x05"
                            "12345");
  CHECK(code_of(garbage) == Code::invalid_argument);
  CHECK_THAT(message_of(garbage), Catch::Contains("vmsec.DomainControl.Pause"));
  CHECK(bench.backend.calls == 0);
}

TEST_CASE("opening twice gives one handle: a module cannot fill the host with handles") {
  Bench bench(true);
  const vmsec_host host = bench.link.host();
  const auto open = [&](std::string_view interface) {
    auto reply = sdk::call_through(host.call, host.context, {}, 0, 1, wire::pack(OpenHandle{std::string(interface)}));
    return good(wire::unpack<HandleReply>(good(std::move(reply)))).id;
  };
  CHECK(open("vmsec.DomainControl") == 1);
  CHECK(open("vmsec.Events") == 2);
  CHECK(open("vmsec.DomainControl") == 1);
}

TEST_CASE("policies are replaced while modules call: each call is under one of them") {
  Bench bench;
  const auto domains = bench.open<DomainControl>();
  std::atomic<bool> ended = false;
  std::jthread writer([&] {
    for (int i = 0; i < 50; ++i) bench.allow(i % 2 == 0 ? "web-*" : "db-*", R"("vmsec.DomainControl")");
    ended = true;
  });
  int odd = 0;
  while (!ended) {
    const auto paused = domains->pause(kWeb);
    if (!paused && paused.error().code != Code::denied && paused.error().code != Code::revoked) ++odd;
  }
  CHECK(odd == 0);
}

}  // namespace vmsec::test
