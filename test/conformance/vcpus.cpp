// The number of vCPUs, changed while the domain runs. It starts with one of two; where a hypervisor does not take one
// back, which is `unsupported`, it has two from the first check on.
#include <algorithm>

#include "fixture.hpp"
#include "suite.hpp"

namespace vmsec::conformance {
namespace {

ResourceLimits vcpus(std::uint32_t count) {
  ResourceLimits limits;
  limits.vcpus = count;
  return limits;
}

// The one that it does not have.
Result<std::uint32_t> other_number(Fixture& fixture, const Uuid& domain) {
  VMSEC_TRY(const auto info, fixture.open_a<DomainControl>()->get({domain}));
  return info.vcpus == 1 ? 2 : 1;
}

// As it was before, whatever the test does.
template <class Test>
Outcome and_back(Fixture& fixture, Test&& test) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto resources = fixture.open_a<ResourceControl>();
  CONFORMANCE_TRY(const auto before, resources->get({domain}));
  Outcome outcome = test(domain, *resources);
  const auto back = resources->set({domain, before});
  if (outcome.verdict == Verdict::passed && !back) outcome = from_error(back.error());
  return outcome;
}

Outcome has(Fixture& fixture, const Uuid& domain, std::uint32_t count) {
  CONFORMANCE_TRY(const auto limits, fixture.open_a<ResourceControl>()->get({domain}));
  CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({domain}));
  const std::string what = "it has " + std::to_string(info.vcpus) + " of " + std::to_string(info.vcpus_maximum);
  CONFORMANCE_EXPECT(limits.vcpus == count && info.vcpus == count && info.vcpus_maximum == 2, what);
  return passed(what);
}

Outcome one_is_added(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto events = fixture.open_a<Events>();
  CONFORMANCE_TRY(const auto before, events->next({0, {}, 1}));
  CONFORMANCE_CHECK(fixture.open_a<ResourceControl>()->set({domain, vcpus(2)}));
  const bool told = wait_until([&] {
    const auto list = events->next({before.last, {100'000}, 0});
    return list && std::ranges::any_of(list->events, [&](const Event& each) {
             return each.kind == EventKind::limits_changed && each.domain == domain;
           });
  });
  CONFORMANCE_EXPECT(told, "no event told of it");
  return has(fixture, domain, 2);
}

Outcome one_is_taken_away(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_CHECK(fixture.open_a<ResourceControl>()->set({domain, vcpus(1)}));
  return has(fixture, domain, 1);
}

// In thousandths of a CPU, over `window`: never more than it was. The time that both questions take counts as elapsed,
// or a slow answer would look like a fast domain.
Result<int> used(Fixture& fixture, const Uuid& domain, std::chrono::milliseconds window) {
  const auto domains = fixture.open_a<DomainControl>();
  const auto start = std::chrono::steady_clock::now();
  VMSEC_TRY(const auto before, domains->get({domain}));
  std::this_thread::sleep_for(window);
  VMSEC_TRY(const auto after, domains->get({domain}));
  const std::chrono::duration<double, std::micro> elapsed = std::chrono::steady_clock::now() - start;
  // Of a vCPU that was taken away, some hypervisors forget the time.
  const std::uint64_t time = std::max(after.cpu_time, before.cpu_time).value - before.cpu_time.value;
  return static_cast<int>(static_cast<double>(time) / elapsed.count() * 1000);
}

Outcome more_compute_more(Fixture& fixture) {
  return and_back(fixture, [&](const Uuid& domain, ResourceControl& resources) {
    ResourceLimits two = vcpus(2);
    two.cpu_weight = 8192;  // what else runs on this host shall not decide this
    CONFORMANCE_CHECK(resources.set({domain, two}));
    int most = 0;
    const bool more = wait_until(
        [&] {
          most = std::max(most, used(fixture, domain, std::chrono::milliseconds(3000)).value_or(0));
          return most > 1150;
        },
        std::chrono::seconds(90));
    const std::string figure = std::to_string(most) + " thousandths of a CPU with 2 vCPUs";
    CONFORMANCE_EXPECT(more, figure);
    return passed(figure);
  });
}

Outcome fewer_hold(Fixture& fixture) {
  return and_back(fixture, [&](const Uuid& domain, ResourceControl& resources) {
    CONFORMANCE_CHECK(resources.set({domain, vcpus(2)}));
    CONFORMANCE_CHECK(resources.set({domain, vcpus(1)}));
    CONFORMANCE_TRY(const int millis, used(fixture, domain, std::chrono::milliseconds(3000)));
    const std::string figure = std::to_string(millis) + " thousandths of a CPU with 1 vCPU";
    CONFORMANCE_EXPECT(millis <= 1050, figure);
    CONFORMANCE_EXPECT(millis > 20, figure + ": the domain hardly runs");
    return passed(figure);
  });
}

Outcome beyond_maximum(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({domain}));
  return refused(fixture, vcpus(info.vcpus_maximum + 1), Code::limit_exceeded);
}

Outcome bad_value_beside(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const std::uint32_t other, other_number(fixture, domain));
  ResourceLimits limits = vcpus(other);
  limits.cpu_quota_millis = 4'000'000;
  return refused(fixture, limits, Code::limit_exceeded);
}

Outcome paused_is_refused(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const std::uint32_t other, other_number(fixture, domain));
  const auto domains = fixture.open_a<DomainControl>();
  CONFORMANCE_CHECK(domains->pause({domain}));
  Outcome outcome = refused(fixture, vcpus(other), Code::wrong_state);
  if (const auto same = fixture.open_a<ResourceControl>()->set({domain, vcpus(3 - other)}); !same)
    outcome = from_error(same.error());
  CONFORMANCE_CHECK(domains->resume({domain}));
  return outcome;
}

// The quota is of all vCPUs together, however many there are.
Outcome other_limits_stay(Fixture& fixture) {
  CONFORMANCE_TRY(const std::uint32_t cpu, fixture.usable_cpu());
  return and_back(fixture, [&](const Uuid& domain, ResourceControl& resources) {
    ResourceLimits limits;
    limits.cpu_weight = 800;
    limits.cpu_quota_millis = 400;
    limits.pins = {{0, {cpu}}};
    CONFORMANCE_CHECK(resources.set({domain, limits}));
    CONFORMANCE_TRY(auto before, resources.get({domain}));
    CONFORMANCE_CHECK(resources.set({domain, vcpus(2)}));
    CONFORMANCE_TRY(const auto two, resources.get({domain}));
    CONFORMANCE_CHECK(resources.set({domain, vcpus(1)}));
    CONFORMANCE_TRY(const auto one, resources.get({domain}));
    CONFORMANCE_EXPECT(two.pins.size() == 2 && two.pins.front() == before.pins.front(), "a pin is gone, or changed");
    CONFORMANCE_EXPECT(wire::encode(one) == wire::encode(before), "there and back, a limit is another");
    before.vcpus = two.vcpus;
    before.pins = two.pins;
    CONFORMANCE_EXPECT(wire::encode(two) == wire::encode(before), "with 2 vCPUs, a limit is another");
    return passed();
  });
}

Outcome pins_of_what_it_then_has(Fixture& fixture) {
  CONFORMANCE_TRY(const std::uint32_t cpu, fixture.usable_cpu());
  return and_back(fixture, [&](const Uuid& domain, ResourceControl& resources) {
    ResourceLimits limits = vcpus(2);
    limits.pins = {{1, {cpu}}};
    CONFORMANCE_CHECK(resources.set({domain, limits}));
    CONFORMANCE_TRY(const auto now, resources.get({domain}));
    CONFORMANCE_EXPECT(now.vcpus == 2u && now.pins.size() == 2, "it does not have 2 vCPUs");
    CONFORMANCE_EXPECT(now.pins[1].cpus == std::vector<std::uint32_t>{cpu}, "the new one is not pinned");
    CONFORMANCE_CHECK(resources.set({domain, {.pins = {{1, {}}}}}));
    return passed("CPU " + std::to_string(cpu));
  });
}

Settings policy(std::uint32_t count) {
  Setting setting;
  setting.path = "vcpus";
  setting.type = SettingType::integer;
  setting.integer = count;
  return {{setting}};
}

Outcome module_applies_once(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const std::uint32_t other, other_number(fixture, domain));
  const auto isolation = fixture.module_of_a<Enforcement>("isolation");
  CONFORMANCE_TRY(const auto first, isolation->apply({domain, policy(other)}));
  CONFORMANCE_TRY(const auto second, isolation->apply({domain, policy(other)}));
  CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({domain}));
  CONFORMANCE_CHECK(isolation->apply({domain, policy(3 - other)}));
  CONFORMANCE_EXPECT(first.changes.size() == 1 && second.changes.empty(), "applying twice is not applying once");
  CONFORMANCE_EXPECT(info.vcpus == other, "it has " + std::to_string(info.vcpus));
  return passed();
}

}  // namespace

void add_vcpus(Checks& checks) {
  const auto add = [&](std::string claim, std::function<Outcome(Fixture&)> run) {
    checks.push_back({"ResourceControl", std::move(claim), std::move(run)});
  };
  add("a vCPU is added while the domain runs, and an event tells of it", one_is_added);
  add("a vCPU is taken away while the domain runs", one_is_taken_away);
  add("more vCPUs compute more, measured", more_compute_more);
  add("fewer vCPUs hold, measured", fewer_hold);
  add("no vCPU at all is refused", [](Fixture& f) { return refused(f, vcpus(0), Code::invalid_argument); });
  add("more vCPUs than the maximum are refused", beyond_maximum);
  add("a number of vCPUs beside a bad value changes nothing", bad_value_beside);
  add("a paused domain's vCPUs stay as they are", paused_is_refused);
  add("other limits stay when vCPUs come and go", other_limits_stay);
  add("a vCPU is added and pinned in one call", pins_of_what_it_then_has);
  checks.push_back({"isolation", "a number of vCPUs is applied once", module_applies_once});
}

}  // namespace vmsec::conformance
