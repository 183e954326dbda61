#include <algorithm>
#include <atomic>

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

Outcome quota_is_taken_away(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto resources = fixture.open_a<ResourceControl>();
  CONFORMANCE_CHECK(resources->set({domain, quota(300)}));
  CONFORMANCE_CHECK(resources->set({domain, quota(0)}));
  CONFORMANCE_TRY(const auto now, resources->get({domain}));
  CONFORMANCE_EXPECT(now.cpu_quota_millis == 0u, "it is " + std::to_string(now.cpu_quota_millis.value_or(1)));
  return passed();
}

Outcome pin_is_taken_away(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const std::uint32_t cpu, fixture.usable_cpu());
  const auto resources = fixture.open_a<ResourceControl>();
  CONFORMANCE_TRY(const auto before, resources->get({domain}));
  CONFORMANCE_CHECK(resources->set({domain, pin({cpu})}));
  CONFORMANCE_CHECK(resources->set({domain, pin({})}));
  CONFORMANCE_TRY(const auto now, resources->get({domain}));
  CONFORMANCE_EXPECT(wire::encode(now) == wire::encode(before), "it is not as before");
  return passed();
}

Outcome pin_of_unknown_vcpu(Fixture& fixture) {
  ResourceLimits limits;
  limits.pins = {{4095, {0}}};
  return refused(fixture, limits, Code::invalid_argument);
}

Outcome limit_survives_pause(Fixture& fixture) {
  ResourceLimits limits = quota(350);
  limits.cpu_weight = 600;
  return with_limits(fixture, limits, [&](const Uuid& domain, const ResourceLimits& now) {
    CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->pause({domain}));
    CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->resume({domain}));
    CONFORMANCE_TRY(const auto later, fixture.open_a<ResourceControl>()->get({domain}));
    CONFORMANCE_EXPECT(wire::encode(later) == wire::encode(now), "a limit is gone, or changed");
    return passed();
  });
}

Outcome limit_of_a_paused_domain(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->pause({domain}));
  const Outcome outcome = with_limits(fixture, quota(450), [](const Uuid&, const ResourceLimits& now) {
    const auto value = now.cpu_quota_millis.value_or(0);
    CONFORMANCE_EXPECT(value >= 445 && value <= 455, "it is " + std::to_string(value));
    return passed();
  });
  CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->resume({domain}));
  return outcome;
}

Outcome several_in_one_call(Fixture& fixture) {
  CONFORMANCE_TRY(const std::uint32_t cpu, fixture.usable_cpu());
  ResourceLimits limits = pin({cpu});
  limits.cpu_weight = 700;
  limits.cpu_quota_millis = 500;
  return with_limits(fixture, limits, [&](const Uuid&, const ResourceLimits& now) {
    const auto value = now.cpu_quota_millis.value_or(0);
    CONFORMANCE_EXPECT(now.cpu_weight == 700u && value >= 495 && value <= 505, "weight or quota is another");
    CONFORMANCE_EXPECT(!now.pins.empty() && now.pins.front().cpus == std::vector<std::uint32_t>{cpu}, "no pin");
    return passed();
  });
}

Outcome good_and_bad_in_one_call(Fixture& fixture) {
  ResourceLimits limits = quota(4'000'000);
  limits.cpu_weight = 900;
  return refused(fixture, limits, Code::limit_exceeded);
}

Outcome weight_out_of_range(Fixture& fixture) {
  ResourceLimits limits;
  limits.cpu_weight = 4'000'000'000;
  return refused(fixture, limits, Code::limit_exceeded);
}

Outcome memory_beyond_host(Fixture& fixture) {
  ResourceLimits limits;
  limits.memory_limit = Bytes{1ULL << 60};
  return refused(fixture, limits, Code::limit_exceeded);
}

Outcome limits_are_the_domains_own(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid other, fixture.find(fixture.setup().traveller));
  CONFORMANCE_TRY(const auto before, fixture.open_a<ResourceControl>()->get({other}));
  return with_limits(fixture, quota(550), [&](const Uuid&, const ResourceLimits&) {
    CONFORMANCE_TRY(const auto now, fixture.open_a<ResourceControl>()->get({other}));
    CONFORMANCE_EXPECT(wire::encode(before) == wire::encode(now), "another domain's limits changed");
    return passed();
  });
}

Outcome change_is_told(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto events = fixture.open_a<Events>();
  CONFORMANCE_TRY(const auto before, events->next({0, {}, 1}));
  return with_limits(fixture, quota(650), [&](const Uuid&, const ResourceLimits&) {
    const bool told = wait_until([&] {
      const auto list = events->next({before.last, {100'000}, 0});
      return list && std::ranges::any_of(list->events, [&](const Event& each) {
               return each.kind == EventKind::limits_changed && each.domain == domain;
             });
    });
    CONFORMANCE_EXPECT(told, "no event told of it");
    return passed();
  });
}

Outcome one_of_those_set_at_once(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto resources = fixture.open_a<ResourceControl>();
  CONFORMANCE_TRY(const auto before, resources->get({domain}));
  std::atomic<int> bad = 0;
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t i = 1; i <= 4; ++i)
      threads.emplace_back([&, i] {
        ResourceLimits limits;
        limits.cpu_weight = i * 200;
        // Another's value may be read back meanwhile; nothing else may go wrong.
        const auto set = fixture.open_a<ResourceControl>()->set({domain, limits});
        if (!set && set.error().code != Code::internal) ++bad;
      });
  }
  CONFORMANCE_TRY(const auto now, resources->get({domain}));
  CONFORMANCE_CHECK(resources->set({domain, before}));
  const std::uint32_t weight = now.cpu_weight.value_or(0);
  CONFORMANCE_EXPECT(bad == 0, std::to_string(bad.load()) + " calls failed");
  CONFORMANCE_EXPECT(weight % 200 == 0 && weight >= 200 && weight <= 800, "it is " + std::to_string(weight));
  return passed(std::to_string(weight));
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
  add("a CPU quota of 0 takes it away", quota_is_taken_away);
  add("a pin to no CPU takes it away", pin_is_taken_away);
  add("a pin of a vCPU that the domain lacks is refused", pin_of_unknown_vcpu);
  add("limits survive pause and resume", limit_survives_pause);
  add("a paused domain takes a limit", limit_of_a_paused_domain);
  add("weight, quota and pin are set in one call", several_in_one_call);
  add("a call with one bad value changes nothing", good_and_bad_in_one_call);
  add("a weight beyond all scale is refused", weight_out_of_range);
  add("a memory limit beyond the host is refused", memory_beyond_host);
  add("another domain's limits stay", limits_are_the_domains_own);
  add("a change is told by an event", change_is_told);
  add("of values set at once one holds", one_of_those_set_at_once);
  add("get of a stranger is not_found",
      [](Fixture& f) { return expect(Code::not_found, f.open_a<ResourceControl>()->get({stranger()})); });
  add("set on a stranger is not_found",
      [](Fixture& f) { return expect(Code::not_found, f.open_a<ResourceControl>()->set({stranger(), quota(100)})); });
}

}  // namespace vmsec::conformance
