#include "fixture.hpp"
#include "suite.hpp"

namespace vmsec::conformance {
namespace {

// Sets limits, reads them back, and puts the old ones back.
template <class Test>
Outcome with_limits(Fixture& fixture, const ResourceLimits& limits, Test&& test) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto resources = fixture.open_a<ResourceControl>();
  CONFORMANCE_TRY(const auto before, resources->get({domain}));
  CONFORMANCE_CHECK(resources->set({domain, limits}));
  CONFORMANCE_TRY(const auto now, resources->get({domain}));
  const Outcome outcome = test(domain, now);
  CONFORMANCE_CHECK(resources->set({domain, before}));
  return outcome;
}

ResourceLimits quota(std::uint32_t millis) {
  ResourceLimits limits;
  limits.cpu_quota_millis = millis;
  return limits;
}

ResourceLimits pin(std::vector<std::uint32_t> cpus) {
  ResourceLimits limits;
  limits.pins = {{0, std::move(cpus)}};
  return limits;
}

Outcome host_is_told(Fixture& fixture) {
  CONFORMANCE_TRY(const auto host, fixture.open_a<ResourceControl>()->host({}));
  CONFORMANCE_EXPECT(host.cpus > 0 && host.memory.value > 0 && !host.hypervisor.empty(), "a size is missing");
  return passed(host.hypervisor + ", " + std::to_string(host.cpus) + " CPUs");
}

Outcome weight_is_read_back(Fixture& fixture) {
  ResourceLimits limits;
  limits.cpu_weight = 512;
  return with_limits(fixture, limits, [](const Uuid&, const ResourceLimits& now) {
    CONFORMANCE_EXPECT(now.cpu_weight == 512u, "it is " + std::to_string(now.cpu_weight.value_or(0)));
    return passed("512");
  });
}

Outcome quota_is_read_back(Fixture& fixture) {
  return with_limits(fixture, quota(250), [](const Uuid&, const ResourceLimits& now) {
    const auto value = now.cpu_quota_millis.value_or(0);
    CONFORMANCE_EXPECT(value >= 245 && value <= 255, "it is " + std::to_string(value));
    return passed(std::to_string(value) + " of 250");
  });
}

Outcome quota_holds(Fixture& fixture) {
  return with_limits(fixture, quota(200), [&](const Uuid& domain, const ResourceLimits&) {
    const auto domains = fixture.open_a<DomainControl>();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    const auto start = std::chrono::steady_clock::now();
    CONFORMANCE_TRY(const auto before, domains->get({domain}));
    std::this_thread::sleep_for(std::chrono::milliseconds(3000));
    CONFORMANCE_TRY(const auto after, domains->get({domain}));
    const std::chrono::duration<double, std::micro> elapsed = std::chrono::steady_clock::now() - start;
    const double millis = static_cast<double>(after.cpu_time.value - before.cpu_time.value) / elapsed.count() * 1000;
    const std::string figure = std::to_string(static_cast<int>(millis)) + " thousandths of a CPU, limit 200";
    CONFORMANCE_EXPECT(millis <= 230, figure);
    CONFORMANCE_EXPECT(millis > 20, figure + ": the domain hardly runs");
    return passed(figure);
  });
}

Outcome absent_fields_stay(Fixture& fixture) {
  return with_limits(fixture, quota(300), [&](const Uuid& domain, const ResourceLimits& now) {
    ResourceLimits weight;
    weight.cpu_weight = 700;
    const auto resources = fixture.open_a<ResourceControl>();
    CONFORMANCE_CHECK(resources->set({domain, weight}));
    CONFORMANCE_TRY(const auto later, resources->get({domain}));
    CONFORMANCE_EXPECT(later.cpu_quota_millis == now.cpu_quota_millis, "setting the weight changed the quota");
    return passed();
  });
}

Outcome setting_twice_is_once(Fixture& fixture) {
  return with_limits(fixture, quota(300), [&](const Uuid& domain, const ResourceLimits& now) {
    const auto resources = fixture.open_a<ResourceControl>();
    CONFORMANCE_CHECK(resources->set({domain, quota(300)}));
    CONFORMANCE_TRY(const auto again, resources->get({domain}));
    CONFORMANCE_EXPECT(again.cpu_quota_millis == now.cpu_quota_millis, "the second time gave another value");
    return passed();
  });
}

Outcome pin_is_read_back(Fixture& fixture) {
  CONFORMANCE_TRY(const std::uint32_t cpu, fixture.usable_cpu());
  return with_limits(fixture, pin({cpu}), [&](const Uuid&, const ResourceLimits& now) {
    CONFORMANCE_EXPECT(!now.pins.empty() && now.pins.front().cpus == std::vector<std::uint32_t>{cpu},
                       "not pinned to CPU " + std::to_string(cpu));
    return passed("CPU " + std::to_string(cpu));
  });
}

Outcome memory_limit_is_read_back(Fixture& fixture) {
  CONFORMANCE_TRY(const auto host, fixture.open_a<ResourceControl>()->host({}));
  ResourceLimits limits;
  limits.memory_limit = Bytes{host.memory.value / 2 >> 20 << 20};
  return with_limits(fixture, limits, [&](const Uuid&, const ResourceLimits& now) {
    CONFORMANCE_EXPECT(now.memory_limit == limits.memory_limit,
                       "it is " + std::to_string(now.memory_limit.value_or(Bytes{}).value));
    return passed();
  });
}

// A refusal must change nothing.
Outcome refused(Fixture& fixture, const ResourceLimits& limits, Code code) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto resources = fixture.open_a<ResourceControl>();
  CONFORMANCE_TRY(const auto before, resources->get({domain}));
  const Outcome outcome = expect(code, resources->set({domain, limits}));
  CONFORMANCE_TRY(const auto after, resources->get({domain}));
  CONFORMANCE_EXPECT(wire::encode(before) == wire::encode(after), "the refused call changed a limit");
  return outcome;
}

Outcome tiny_memory_is_refused(Fixture& fixture) {
  ResourceLimits limits;
  limits.memory_limit = Bytes{1 << 20};
  return refused(fixture, limits, Code::limit_exceeded);
}

}  // namespace

void add_resource_control(Checks& checks) {
  const auto add = [&](std::string claim, std::function<Outcome(Fixture&)> run) {
    checks.push_back({"ResourceControl", std::move(claim), std::move(run)});
  };
  add("the host's sizes are told", host_is_told);
  add("a CPU weight is read back", weight_is_read_back);
  add("a CPU quota is read back", quota_is_read_back);
  add("a CPU quota holds, measured", quota_holds);
  add("fields that a call leaves out stay", absent_fields_stay);
  add("setting twice changes nothing", setting_twice_is_once);
  add("a pin is read back", pin_is_read_back);
  add("a memory limit is read back", memory_limit_is_read_back);
  add("a pin to a CPU that the host lacks is refused",
      [](Fixture& f) { return refused(f, pin({4095}), Code::limit_exceeded); });
  add("a quota beyond the host is refused",
      [](Fixture& f) { return refused(f, quota(4'000'000), Code::limit_exceeded); });
  add("a memory limit below what the domain has is refused", tiny_memory_is_refused);
  add("get of a stranger is not_found",
      [](Fixture& f) { return expect(Code::not_found, f.open_a<ResourceControl>()->get({stranger()})); });
  add("set on a stranger is not_found",
      [](Fixture& f) { return expect(Code::not_found, f.open_a<ResourceControl>()->set({stranger(), quota(100)})); });
}

}  // namespace vmsec::conformance
