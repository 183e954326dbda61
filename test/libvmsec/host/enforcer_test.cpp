// The Enforcer's rounds, on a host that is only told of.
#include "host/enforcer.hpp"

#include <catch2/catch.hpp>

using namespace vmsec;
using namespace vmsec::host;
using namespace std::chrono_literals;

namespace {

const Uuid kWeb = Uuid::parse("0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e01").value();
const Uuid kDb = Uuid::parse("0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e02").value();

struct ToldHost final : EnforcedHost {
  using Applied = std::vector<std::string>;  // "isolation web"

  std::map<Uuid, DomainInfo> all;
  std::map<std::string, Module> modules_there = {{"isolation", {"isolation"}}};
  std::vector<Event> heard;
  std::optional<Error> deaf;
  std::optional<Error> unknown;           // why the list cannot be had
  std::map<std::string, Error> refusals;  // by what is applied
  std::function<void()> meanwhile;        // in each call of a module
  std::shared_ptr<const int> policy = std::make_shared<const int>(1);
  std::uint64_t dropped = 0;
  Applied applied;
  std::vector<AuditEntry> records;

  ToldHost() {
    add(kWeb, "web");
    add(kDb, "db");
  }
  void add(const Uuid& uuid, const std::string& name) {
    all[uuid].domain = uuid;
    all[uuid].name = name;
    all[uuid].state = DomainState::running;
  }
  void tell(EventKind kind, const Uuid& domain = {}) { heard.push_back({heard.size() + 1, kind, domain, {}, {}, {}}); }
  Applied take() { return std::exchange(applied, {}); }

  Result<EventList> events(std::uint64_t after) override {
    if (deaf) return fail(*deaf);
    EventList out;
    for (const auto& event : heard)
      if (event.sequence > after) out.events.push_back(event);
    out.last = heard.size();
    out.dropped = std::exchange(dropped, 0);
    return out;
  }
  Result<std::vector<DomainInfo>> domains() override {
    if (unknown) return fail(*unknown);
    std::vector<DomainInfo> out;
    for (const auto& [uuid, info] : all) out.push_back(info);
    return out;
  }
  Result<DomainInfo> domain(const Uuid& uuid) override {
    if (!all.contains(uuid)) return fail(Code::not_found, "no such domain");
    return all[uuid];
  }
  std::vector<Module> modules() override {
    std::vector<Module> out;
    for (const auto& [name, module] : modules_there) out.push_back(module);
    return out;
  }
  Rules rules() override { return {policy, {}}; }
  std::optional<DomainChanges> apply(const DomainInfo& domain, const std::string& module) override {
    const std::string what = module + " " + domain.name;
    applied.push_back(what);
    if (meanwhile) meanwhile();
    DomainChanges out{domain.domain, domain.name, module, {}, {}, Code::ok};
    if (const auto refusal = refusals.find(what); refusal != refusals.end()) {
      out.error = refusal->second.message;
      out.code = refusal->second.code;
    }
    return out;
  }
  void record(const std::string& /*module*/, const AuditEntry& entry) override { records.push_back(entry); }
};

struct Rounds {
  ToldHost host;
  Enforcer::Time now{1h};
  Enforcer enforcer{host, [this] { return now; }};

  Rounds() {
    REQUIRE(enforcer.begin());
    step();
    host.applied.clear();
  }
  // What is applied in one round, and in the one that sees what was told before.
  ToldHost::Applied step() {
    enforcer.step();
    return host.take();
  }
  ToldHost::Applied hear() {
    step();
    return step();
  }
};

const ToldHost::Applied kNothing;
const ToldHost::Applied kBoth = {"isolation web", "isolation db"};

}  // namespace

TEST_CASE("enforcing begins with all VMs that run, and then waits for what changes") {
  ToldHost host;
  host.all[kDb].state = DomainState::paused;
  host.tell(EventKind::domain_resumed, kWeb);  // before it began
  Enforcer enforcer(host);
  REQUIRE(enforcer.begin());
  enforcer.step();
  CHECK(host.take() == ToldHost::Applied{"isolation web"});
  enforcer.step();
  CHECK(host.take() == kNothing);
}

TEST_CASE("a VM that starts, resumes or changes its devices is enforced alone; other events are nothing") {
  Rounds rounds;
  for (const auto kind : {EventKind::domain_started, EventKind::domain_resumed, EventKind::devices_changed}) {
    rounds.host.tell(kind, kDb);
    CHECK(rounds.hear() == ToldHost::Applied{"isolation db"});
  }
  for (const auto kind : {EventKind::limits_changed, EventKind::domain_paused, EventKind::domain_stopped,
                          EventKind::migration_iteration, EventKind::backend_lost})
    rounds.host.tell(kind, kDb);
  CHECK(rounds.hear() == kNothing);
}

TEST_CASE("what starts paused, as one that arrives, is enforced when it resumes") {
  Rounds rounds;
  rounds.host.all[kDb].state = DomainState::paused;
  rounds.host.tell(EventKind::domain_started, kDb);
  CHECK(rounds.hear() == kNothing);
  rounds.host.all[kDb].state = DomainState::running;
  rounds.host.tell(EventKind::domain_resumed, kDb);
  CHECK(rounds.hear() == ToldHost::Applied{"isolation db"});
}

TEST_CASE("after events that were missed, or a hypervisor that came back, all VMs are enforced") {
  Rounds rounds;
  rounds.host.dropped = 3;
  CHECK(rounds.hear() == kBoth);
  rounds.host.tell(EventKind::backend_restored);
  CHECK(rounds.hear() == kBoth);
  rounds.host.deaf = Error{Code::unavailable, "libvirtd is away"};
  CHECK(rounds.hear() == kNothing);
  rounds.host.deaf.reset();
  CHECK(rounds.hear() == kBoth);
}

TEST_CASE("a list that cannot be had is asked for again") {
  Rounds rounds;
  rounds.host.unknown = Error{Code::unavailable, "libvirtd is away"};
  rounds.host.tell(EventKind::backend_restored);
  CHECK(rounds.hear() == kNothing);
  CHECK(rounds.hear() == kNothing);
  rounds.host.unknown.reset();
  CHECK(rounds.step() == kBoth);
}

TEST_CASE("a module that was started again, another policy and other grants concern all VMs") {
  Rounds rounds;
  rounds.host.modules_there["isolation"].restarts = 1;
  CHECK(rounds.step() == kBoth);
  CHECK(rounds.step() == kNothing);
  rounds.host.policy = std::make_shared<const int>(2);
  CHECK(rounds.step() == kBoth);
}

TEST_CASE("a module whose process has ended is not asked, and looks at all VMs when it runs again") {
  Rounds rounds;
  rounds.host.modules_there["isolation"].running = false;
  rounds.host.tell(EventKind::domain_started, kDb);
  CHECK(rounds.hear() == kNothing);
  rounds.host.modules_there["isolation"] = {"isolation", true, 1};
  CHECK(rounds.step() == kBoth);
  CHECK(rounds.host.records.empty());
}

TEST_CASE("what may pass is told when it fails again, and tried with growing pauses until it succeeds") {
  Rounds rounds;
  rounds.host.refusals["isolation db"] = {Code::wrong_state, "a migration holds it"};
  rounds.host.tell(EventKind::domain_resumed, kDb);
  CHECK(rounds.hear() == ToldHost::Applied{"isolation db"});
  CHECK(rounds.host.records.empty());
  std::vector<std::chrono::seconds> pauses;
  for (int i = 0; i < 9; ++i) {
    auto waited = 0s;
    while (rounds.step() == kNothing) {
      rounds.now += 1s;
      waited += 1s;
    }
    pauses.push_back(waited);
  }
  CHECK(pauses == std::vector<std::chrono::seconds>{1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s, 60s});
  REQUIRE(rounds.host.records.size() == 1);
  CHECK(rounds.host.records[0].outcome == Outcome::failed);
  CHECK(rounds.host.records[0].detail == "db: a migration holds it");
  rounds.host.refusals.clear();
  rounds.now += 60s;
  CHECK(rounds.step() == ToldHost::Applied{"isolation db"});
  REQUIRE(rounds.host.records.size() == 2);
  CHECK(rounds.host.records[1].outcome == Outcome::succeeded);
  rounds.now += 1h;
  CHECK(rounds.step() == kNothing);
}

TEST_CASE("a cause that passed at once leaves no record") {
  Rounds rounds;
  rounds.host.refusals["isolation db"] = {Code::timeout, "no answer"};
  rounds.host.tell(EventKind::domain_resumed, kDb);
  CHECK(rounds.hear() == ToldHost::Applied{"isolation db"});
  rounds.host.refusals.clear();
  rounds.now += 1s;
  CHECK(rounds.step() == ToldHost::Applied{"isolation db"});
  CHECK(rounds.host.records.empty());
}

TEST_CASE("what the policy got wrong is on record once, and tried again only when something begins anew") {
  Rounds rounds;
  rounds.host.refusals["isolation db"] = {Code::not_found, "it has no disk vdb"};
  for (int i = 0; i < 3; ++i) {
    rounds.host.tell(EventKind::domain_resumed, kDb);
    CHECK(rounds.hear() == ToldHost::Applied{"isolation db"});
    rounds.now += 1h;
    CHECK(rounds.step() == kNothing);
  }
  REQUIRE(rounds.host.records.size() == 1);
  rounds.host.refusals["isolation db"] = {Code::revoked, "withdrawn"};
  rounds.host.policy = std::make_shared<const int>(2);
  CHECK(rounds.step() == kBoth);
  CHECK(rounds.host.records.size() == 2);
}

TEST_CASE("a VM that ends while it is enforced is no failure") {
  for (const Code code : {Code::not_found, Code::wrong_state}) {
    Rounds rounds;
    rounds.host.refusals["isolation db"] = {code, "it is gone"};
    rounds.host.meanwhile = [&] { rounds.host.all.erase(kDb); };
    rounds.host.tell(EventKind::domain_resumed, kDb);
    CHECK(rounds.hear() == ToldHost::Applied{"isolation db"});
    rounds.now += 1h;
    CHECK(rounds.step() == kNothing);
    CHECK(rounds.host.records.empty());
  }
}

TEST_CASE("a module that lets one VM wait lets no other wait in the same round, and other modules go on") {
  Rounds rounds;
  rounds.host.modules_there["throttle"] = {"throttle"};
  CHECK(rounds.step().empty());
  rounds.host.refusals["isolation web"] = {Code::timeout, "no answer within 120 s"};
  rounds.host.policy = std::make_shared<const int>(2);
  CHECK(rounds.step() == ToldHost::Applied{"isolation web", "throttle web", "throttle db"});
  rounds.host.refusals.clear();
  rounds.now += 1s;
  CHECK(rounds.step() == kBoth);
  CHECK(rounds.host.records.empty());
}

TEST_CASE("it stops between two calls") {
  ToldHost host;
  Enforcer enforcer(host);
  REQUIRE(enforcer.begin());
  host.meanwhile = [&] { enforcer.stop(); };
  enforcer.step();
  CHECK(host.applied.size() == 1);
}
