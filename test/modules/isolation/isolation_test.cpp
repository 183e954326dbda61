// The isolation module behind its door, against a backend in memory.
#include <algorithm>
#include <catch2/catch.hpp>

#include "modules/fake_host.hpp"
#include "vmsec/capability/resource_control.hpp"
#include "vmsec/service/enforcement.hpp"

namespace vmsec::test {
namespace {

class FakeResources final : public ResourceControl {
 public:
  Result<HostResources> host(const Empty&) override { return HostResources{4, {8ull << 30}, "a hypervisor in memory"}; }
  Result<ResourceLimits> get(const DomainRef&) override {
    if (lost) return fail(Code::unavailable, "the hypervisor is gone");
    return limits;
  }
  Result<Empty> set(const SetResources& request) override {
    ++sets;
    last = request.limits;
    if (refuses) return fail(Code::limit_exceeded, "the host cannot give that");
    if (stubborn && request.limits.vcpus) return fail(Code::timeout, "the guest does not let its vCPUs go");
    if (ignores) return Empty{};
    if (request.limits.cpu_weight) limits.cpu_weight = request.limits.cpu_weight;
    if (request.limits.cpu_quota_millis) limits.cpu_quota_millis = *request.limits.cpu_quota_millis - rounding;
    if (request.limits.vcpus) limits.vcpus = request.limits.vcpus;
    if (request.limits.memory_limit) limits.memory_limit = Bytes{request.limits.memory_limit->value / 1024 * 1024};
    for (const VcpuPin& pin : request.limits.pins) {
      const auto found = std::ranges::find(limits.pins, pin.vcpu, &VcpuPin::vcpu);
      if (found != limits.pins.end())
        *found = pin;
      else
        limits.pins.push_back(pin);
    }
    return Empty{};
  }

  ResourceLimits limits{1024, 0, Bytes{0}, {{0, {0, 1, 2, 3}}, {1, {}}}, 2};
  ResourceLimits last;
  std::uint32_t rounding = 0;
  int sets = 0;
  bool refuses = false;
  bool ignores = false;
  bool stubborn = false;  // the guest
  bool lost = false;
};

struct Bench {
  Bench() {
    domains.info.domain = Uuid({7});
    domains.info.name = "web-1";
    domains.info.vcpus = 2;
    domains.info.vcpus_maximum = 4;
    host.serve<ResourceControl>(resources);
    host.serve<DomainControl>(domains);
    host.serve<Journal>(journal);
    auto loaded = LoadedModule::load(host);
    REQUIRE(loaded);
    module = std::move(*loaded);
    face = module->face<Enforcement>();
  }
  [[nodiscard]] EnforcementTarget target(const Settings& wanted) const { return {domains.info.domain, wanted}; }

  FakeResources resources;
  FakeDomains domains;
  FakeJournal journal;
  FakeHost host;
  std::unique_ptr<LoadedModule> module;
  std::unique_ptr<Enforcement> face;
};

Settings everything() {
  return SectionBuilder()
      .integer("cpu_weight", 512)
      .text("cpu_quota", "150%")
      .text("memory_limit", "512 MiB")
      .list("pin", {"0", "1"})
      .list("vcpu.1.pin", {"3", "2"});
}

std::string lines(const Changes& changes) {
  std::string out;
  for (const auto& change : changes.changes) out += change.what + ": " + change.is + " -> " + change.wanted + "\n";
  return out;
}

const char* const kAllChanges =
    "cpu_weight: 1024 -> 512\n"
    "cpu_quota: unlimited -> 150%\n"
    "memory_limit: unlimited -> 512 MiB\n"
    "vcpu.0.pin: all CPUs -> CPU 0, 1\n"
    "vcpu.1.pin: all CPUs -> CPU 2, 3\n";

TEST_CASE("isolation: diff says what differs, in words, and changes nothing") {
  Bench bench;
  const auto changes = bench.face->diff(bench.target(everything()));
  REQUIRE(changes);
  CHECK(lines(*changes) == kAllChanges);
  CHECK(bench.resources.sets == 0);
  CHECK(bench.journal.entries.empty());
}

TEST_CASE("isolation: apply makes it so, and a second apply changes nothing") {
  Bench bench;
  const auto first = bench.face->apply(bench.target(everything()));
  REQUIRE(first);
  CHECK(lines(*first) == kAllChanges);
  CHECK(bench.resources.limits.cpu_weight == 512u);
  CHECK(bench.resources.limits.cpu_quota_millis == 1500u);
  CHECK(bench.resources.limits.memory_limit == Bytes{512u << 20});
  CHECK(bench.resources.limits.pins[1].cpus == std::vector<std::uint32_t>{2, 3});
  const auto second = bench.face->apply(bench.target(everything()));
  REQUIRE(second);
  CHECK(second->changes.empty());
  CHECK(bench.resources.sets == 1);
  CHECK(bench.journal.entries.size() == 2);
}

TEST_CASE("isolation: only what differs is set, and what the policy does not name is left alone") {
  Bench bench;
  bench.resources.limits.cpu_weight = 512;
  const Settings wanted = SectionBuilder().integer("cpu_weight", 512).text("cpu_quota", "20%");
  REQUIRE(bench.face->apply(bench.target(wanted)));
  CHECK_FALSE(bench.resources.last.cpu_weight.has_value());
  CHECK_FALSE(bench.resources.last.memory_limit.has_value());
  CHECK(bench.resources.last.pins.empty());
  CHECK(bench.resources.last.cpu_quota_millis == 200u);
}

TEST_CASE("isolation: unlimited and all CPUs are values that can be asked for") {
  Bench bench;
  REQUIRE(bench.face->apply(bench.target(everything())));
  const Settings wanted =
      SectionBuilder().text("cpu_quota", "unlimited").text("memory_limit", "unlimited").list("pin", {});
  const auto changes = bench.face->apply(bench.target(wanted));
  REQUIRE(changes);
  CHECK(lines(*changes) ==
        "cpu_quota: 150% -> unlimited\nmemory_limit: 512 MiB -> unlimited\n"
        "vcpu.0.pin: CPU 0, 1 -> all CPUs\nvcpu.1.pin: CPU 2, 3 -> all CPUs\n");
  CHECK(bench.resources.limits.cpu_quota_millis == 0u);
  const Settings all = SectionBuilder().list("pin", {"0", "1", "2", "3"});
  CHECK(bench.face->diff(bench.target(all))->changes.empty());
}

TEST_CASE("isolation: a number of vCPUs is set once, and pins are of those that there are then") {
  Bench bench;
  const Settings wanted = SectionBuilder().integer("vcpus", 3).list("vcpu.2.pin", {"1"});
  const auto first = bench.face->apply(bench.target(wanted));
  REQUIRE(first);
  CHECK(lines(*first) == "vcpus: 2 -> 3\nvcpu.2.pin: all CPUs -> CPU 1\n");
  CHECK(bench.resources.last.vcpus == 3u);
  CHECK(bench.resources.last.pins == std::vector<VcpuPin>{{2, {1}}});
  CHECK_FALSE(bench.resources.last.cpu_weight.has_value());
  bench.domains.info.vcpus = 3;
  CHECK(bench.face->apply(bench.target(wanted))->changes.empty());
  CHECK(bench.resources.sets == 1);
  REQUIRE(bench.face->apply(bench.target(SectionBuilder().integer("cpu_weight", 512))));
  CHECK_FALSE(bench.resources.last.vcpus.has_value());
}

TEST_CASE("isolation: a guest that does not let its vCPUs go is bounded all the same") {
  Bench bench;
  bench.resources.stubborn = true;
  const auto applied = bench.face->apply(bench.target(SectionBuilder()
                                                          .integer("vcpus", 1)
                                                          .text("cpu_quota", "50%")
                                                          .text("memory_limit", "512 MiB")
                                                          .list("pin", {"0"})));
  REQUIRE_FALSE(applied);
  CHECK(applied.error().code == Code::timeout);
  CHECK(bench.resources.limits.cpu_quota_millis == 500u);
  CHECK(bench.resources.limits.memory_limit == Bytes{512 << 20});
  CHECK(bench.resources.limits.pins[0].cpus == std::vector<std::uint32_t>{0});
  CHECK(bench.resources.limits.pins[1].cpus == std::vector<std::uint32_t>{0});
  CHECK(bench.resources.limits.vcpus == 2u);
}

TEST_CASE("isolation: a vCPU that the guest has off for now is pinned with the others") {
  Bench bench;
  bench.domains.info.vcpus = 1;
  bench.resources.limits.vcpus = 1;
  REQUIRE(bench.face->apply(bench.target(SectionBuilder().list("pin", {"0"}).list("vcpu.1.pin", {"1"}))));
  CHECK(bench.resources.limits.pins == std::vector<VcpuPin>{{0, {0}}, {1, {1}}});
}

TEST_CASE("isolation: a pin of a vCPU that a policy takes away is refused") {
  Bench bench;
  const auto refused = bench.face->apply(bench.target(SectionBuilder().integer("vcpus", 1).list("vcpu.1.pin", {"1"})));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message == "isolate web-1: pin of vCPU 1: the domain has 1 vCPUs, from 0");
  CHECK(bench.resources.sets == 0);
}

TEST_CASE("isolation: what the backend rounded is as wanted") {
  Bench bench;
  bench.resources.rounding = 1;
  const Settings wanted = SectionBuilder().text("cpu_quota", "100%").text("memory_limit", "1000001 B");
  REQUIRE(bench.face->apply(bench.target(wanted)));
  CHECK(bench.resources.limits.cpu_quota_millis == 999u);
  CHECK(bench.face->apply(bench.target(wanted))->changes.empty());
}

TEST_CASE("isolation: each apply is recorded before it acts, and its end after") {
  Bench bench;
  REQUIRE(bench.face->apply(bench.target(SectionBuilder().text("cpu_quota", "20%"))));
  REQUIRE(bench.journal.entries.size() == 2);
  CHECK(bench.journal.entries[0].action == "isolation.apply");
  CHECK(bench.journal.entries[0].outcome == Outcome::unknown);
  CHECK(bench.journal.entries[0].detail == "begins: cpu_quota: unlimited -> 20%");
  CHECK(bench.journal.entries[1].outcome == Outcome::succeeded);
  CHECK(bench.journal.entries[1].domain == bench.domains.info.domain);
}

TEST_CASE("isolation: what cannot be recorded does not happen") {
  Bench bench;
  bench.journal.refuse_from = 0;
  const auto changes = bench.face->apply(bench.target(everything()));
  REQUIRE_FALSE(changes);
  CHECK(changes.error().code == Code::io);
  CHECK_THAT(changes.error().message, Catch::Contains("nothing was changed") && Catch::Contains("full"));
  CHECK(bench.resources.sets == 0);
  bench.journal.refuse_from = 1;
  CHECK_THAT(bench.face->apply(bench.target(everything())).error().message, Catch::Contains("its end is not recorded"));
}

TEST_CASE("isolation: a refusal by the backend is recorded and answered with the domain's name") {
  Bench bench;
  bench.resources.refuses = true;
  const auto changes = bench.face->apply(bench.target(everything()));
  REQUIRE_FALSE(changes);
  CHECK(changes.error().code == Code::limit_exceeded);
  CHECK_THAT(changes.error().message, Catch::Contains("the host cannot give that"));
  REQUIRE(bench.journal.entries.size() == 2);
  CHECK(bench.journal.entries[1].outcome == Outcome::failed);
}

TEST_CASE("isolation: a backend that says yes and does nothing is found out") {
  Bench bench;
  bench.resources.ignores = true;
  const auto changes = bench.face->apply(bench.target(everything()));
  REQUIRE_FALSE(changes);
  CHECK_THAT(changes.error().message, Catch::Contains("still differs: cpu_weight: 1024 -> 512"));
  CHECK(bench.journal.entries.back().outcome == Outcome::failed);
}

TEST_CASE("isolation: what hypervisor, host or domain do not have is an error that names the domain") {
  Bench bench;
  const auto error = [&](const Settings& wanted) {
    const auto changes = bench.face->apply(bench.target(wanted));
    return changes ? Error{} : changes.error();
  };
  const Error cpu = error(SectionBuilder().list("pin", {"4"}));
  CHECK(cpu.code == Code::limit_exceeded);
  CHECK(cpu.message == "isolate web-1: pin of vCPU 0 to CPU 4: the host has 4 CPUs, from 0");
  const Error vcpu = error(SectionBuilder().list("vcpu.2.pin", {"0"}));
  CHECK(vcpu.message == "isolate web-1: pin of vCPU 2: the domain has 2 vCPUs, from 0");
  const Error many = error(SectionBuilder().integer("vcpus", 5));
  CHECK(many.code == Code::limit_exceeded);
  CHECK(many.message == "isolate web-1: vcpus: 5 exceed the domain's maximum of 4");
  bench.resources.limits.vcpus.reset();
  CHECK(error(SectionBuilder().integer("vcpus", 2)).code == Code::unsupported);
  bench.resources.limits.memory_limit.reset();
  const Error lacks = error(SectionBuilder().text("memory_limit", "1 GiB"));
  CHECK(lacks.code == Code::unsupported);
  CHECK(lacks.message == "isolate web-1: memory_limit: a hypervisor in memory has no such limit for this domain");
  const Error invalid = error(SectionBuilder().integer("cpu_wieght", 5));
  CHECK(invalid.code == Code::invalid_argument);
  CHECK_THAT(invalid.message, Catch::StartsWith("isolate web-1: line 11, column 7: cpu_wieght: unknown key"));
  bench.resources.lost = true;
  CHECK(error(everything()).code == Code::unavailable);
  const auto missing = bench.face->apply({Uuid({9}), everything()});
  CHECK(missing.error().code == Code::not_found);
  CHECK(bench.resources.sets == 0);
  CHECK(bench.journal.entries.empty());
}

TEST_CASE("isolation: check finds each bad value with its place and cause") {
  struct Bad {
    Settings section;
    const char* message;
  };
  const auto b = [] { return SectionBuilder(); };
  const Bad table[] = {
      {b().integer("cpu_weigth", 5), "cpu_weigth: unknown key: want cpu_weight, cpu_quota"},
      {b().integer("cpu_weight", 0), "cpu_weight: 0 is out of range: want an integer of 1 to 10000"},
      {b().integer("cpu_weight", 10001), "cpu_weight: 10001 is out of range"},
      {b().integer("cpu_weight", -1), "cpu_weight: -1 is out of range"},
      {b().text("cpu_weight", "512"), "cpu_weight: it is a text: want an integer"},
      {b().integer("cpu_quota", 150), "cpu_quota: it is an integer: want a text with %"},
      {b().text("cpu_quota", "150"), "cpu_quota: \"150\" is not a percentage: the unit is missing"},
      {b().text("cpu_quota", "-20%"), "it is negative"},
      {b().text("cpu_quota", "20 MB"), "unknown unit \"MB\""},
      {b().text("cpu_quota", "0%"), "0 is no limit: want more, or \"unlimited\""},
      {b().text("cpu_quota", "9999999%"), "more than 4096 CPUs"},
      {b().text("memory_limit", "512"), "the unit is missing"},
      {b().text("memory_limit", "512 MB/s"), "unknown unit \"MB/s\""},
      {b().text("memory_limit", "99999999999 TiB"), "it is too large"},
      {b().text("memory_limit", "Unlimited"), "does not begin with a number"},
      {b().integer("vcpus", 0), "vcpus: 0 is out of range: want an integer of 1 to 4096"},
      {b().integer("vcpus", 4097), "vcpus: 4097 is out of range"},
      {b().text("vcpus", "2"), "vcpus: it is a text: want an integer"},
      {b().integer("vcpus", 2).integer("vcpus", 2), "vcpus: it is set twice"},
      {b().integer("pin", 1), "pin: it is an integer: want a list of host CPUs"},
      {b().list("pin", {"0", "x"}), "\"x\" is no host CPU"},
      {b().list("pin", {"-1"}), "\"-1\" is no host CPU"},
      {b().list("pin", {"99999999999"}), "is no host CPU"},
      {b().list("pin", {"1", "1"}), "host CPU 1 is listed twice"},
      {b().list("vcpu.a.pin", {"1"}), "\"a\" is no vCPU"},
      {b().list("vcpu.0.pins", {"1"}), "unknown key: want vcpu.<number>.pin"},
      {b().list("vcpu.0", {"1"}), "unknown key: want vcpu.<number>.pin"},
      {b().list("vcpu.0.pin", {"1"}).list("vcpu.00.pin", {"2"}), "vCPU 0 is pinned twice"},
      {b().integer("cpu_weight", 5).integer("cpu_weight", 6), "cpu_weight: it is set twice"},
      {b().integer("vcpu", 5), "vcpu: unknown key"},
      {b().integer("", 5), "unknown key"},
      {b().integer("\"cpu", 5), "is no path of a setting"},
  };
  Bench bench;
  for (const Bad& bad : table) {
    INFO(bad.message);
    const auto findings = bench.face->check(bad.section);
    REQUIRE(findings);
    REQUIRE(findings->findings.size() == 1);
    CHECK_THAT(findings->findings[0].message, Catch::Contains(bad.message));
    CHECK(findings->findings[0].line == 10 + bad.section.settings.size());
    CHECK(findings->findings[0].column == 7);
  }
  CHECK(bench.face->check(everything())->findings.empty());
  CHECK(bench.face->check({})->findings.empty());
}

TEST_CASE("isolation: it is not created with settings that it does not know, nor without its grants") {
  FakeHost empty;
  const auto denied = LoadedModule::load(empty);
  REQUIRE_FALSE(denied);
  CHECK(denied.error().code == Code::denied);
  Bench bench;
  const auto unknown = LoadedModule::load(bench.host, SectionBuilder().integer("speed", 3));
  REQUIRE_FALSE(unknown);
  CHECK_THAT(unknown.error().message, Catch::Contains("speed: unknown key"));
}

TEST_CASE("isolation: what it does not provide, and malformed calls, are errors") {
  Bench bench;
  CHECK(bench.module->call("vmsec.Migrator", 1, {}).error().code == Code::not_found);
  CHECK(bench.module->call("vmsec.Enforcement", 9, {}).error().code == Code::unsupported);
  CHECK(bench.module->call("vmsec.Enforcement", 3, Packet{"\x08\x01", {}}).error().code == Code::invalid_argument);
}

}  // namespace
}  // namespace vmsec::test
