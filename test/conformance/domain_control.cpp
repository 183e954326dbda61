#include <algorithm>
#include <atomic>

#include "fixture.hpp"
#include "suite.hpp"

namespace vmsec::conformance {
namespace {

Outcome list_is_ordered(Fixture& fixture) {
  CONFORMANCE_TRY(const auto list, fixture.open_a<DomainControl>()->list({}));
  CONFORMANCE_EXPECT(!list.domains.empty(), "no domains");
  const bool ordered = std::is_sorted(list.domains.begin(), list.domains.end(),
                                      [](const auto& x, const auto& y) { return x.name < y.name; });
  CONFORMANCE_EXPECT(ordered, "not ordered by name");
  return passed(std::to_string(list.domains.size()) + " domains");
}

Outcome get_equals_list(Fixture& fixture) {
  CONFORMANCE_TRY(const auto list, fixture.open_a<DomainControl>()->list({}));
  for (const auto& entry : list.domains) {
    CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({entry.domain}));
    CONFORMANCE_EXPECT(info.name == entry.name && info.vcpus == entry.vcpus && info.memory == entry.memory,
                       "get of " + entry.name + " differs from its entry");
  }
  return passed();
}

Outcome details_are_there(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({domain}));
  CONFORMANCE_EXPECT(info.vcpus > 0 && info.memory.value > 0, "no vCPUs or no memory");
  CONFORMANCE_EXPECT(info.memory_maximum >= info.memory, "more memory than its maximum");
  const auto& disk = fixture.setup().disk;
  const bool has_disk = std::any_of(info.disks.begin(), info.disks.end(),
                                    [&](const Disk& d) { return d.target == disk && d.capacity.value > 0; });
  CONFORMANCE_EXPECT(has_disk, "no disk " + disk + " with a capacity");
  return passed();
}

Outcome state_after(Fixture& fixture, bool pause, int times) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto domains = fixture.open_a<DomainControl>();
  for (int i = 0; i < times; ++i) CONFORMANCE_CHECK(pause ? domains->pause({domain}) : domains->resume({domain}));
  CONFORMANCE_TRY(const auto info, domains->get({domain}));
  const auto wanted = pause ? DomainState::paused : DomainState::running;
  CONFORMANCE_EXPECT(info.state == wanted, "its state is " + std::to_string(static_cast<int>(info.state)));
  return passed();
}

Outcome cpu_time_stops(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto domains = fixture.open_a<DomainControl>();
  CONFORMANCE_CHECK(domains->pause({domain}));
  CONFORMANCE_TRY(const auto before, domains->get({domain}));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  CONFORMANCE_TRY(const auto after, domains->get({domain}));
  CONFORMANCE_CHECK(domains->resume({domain}));
  const auto used = after.cpu_time.value - before.cpu_time.value;
  CONFORMANCE_EXPECT(used < 50'000, "used " + std::to_string(used) + " us while paused");
  return passed(std::to_string(used) + " us in 0.5 s");
}

Outcome cpu_time_goes_on(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto domains = fixture.open_a<DomainControl>();
  CONFORMANCE_TRY(const auto before, domains->get({domain}));
  const bool more = wait_until([&] {
    const auto now = domains->get({domain});
    return now && now->cpu_time > before.cpu_time;
  });
  CONFORMANCE_EXPECT(more, "no CPU time was counted");
  return passed();
}

Outcome calls_at_once(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  std::atomic<int> bad = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&] {
        const auto domains = fixture.open_a<DomainControl>();
        for (int n = 0; n < 20; ++n)
          if (!domains->get({domain}) || !domains->list({})) ++bad;
      });
  }
  CONFORMANCE_EXPECT(bad == 0, std::to_string(bad.load()) + " of 320 calls failed");
  return passed("320 calls by 8 threads");
}

}  // namespace

void add_domain_control(Checks& checks) {
  const auto add = [&](std::string claim, std::function<Outcome(Fixture&)> run) {
    checks.push_back({"DomainControl", std::move(claim), std::move(run)});
  };
  add("the list is ordered by name", list_is_ordered);
  add("get answers what the list says", get_equals_list);
  add("vCPUs, memory and disks are told", details_are_there);
  add("pause stops a running domain", [](Fixture& f) { return state_after(f, true, 1); });
  add("pausing a paused domain succeeds", [](Fixture& f) { return state_after(f, true, 2); });
  add("resume lets it go on", [](Fixture& f) { return state_after(f, false, 1); });
  add("resuming a running domain succeeds", [](Fixture& f) { return state_after(f, false, 2); });
  add("a paused domain uses no CPU", cpu_time_stops);
  add("a running domain's CPU time goes on", cpu_time_goes_on);
  add("get of a stranger is not_found",
      [](Fixture& f) { return expect(Code::not_found, f.open_a<DomainControl>()->get({stranger()})); });
  add("pause of a stranger is not_found",
      [](Fixture& f) { return expect(Code::not_found, f.open_a<DomainControl>()->pause({stranger()})); });
  add("resume of a stranger is not_found",
      [](Fixture& f) { return expect(Code::not_found, f.open_a<DomainControl>()->resume({stranger()})); });
  add("the nil UUID is not_found",
      [](Fixture& f) { return expect(Code::not_found, f.open_a<DomainControl>()->get({Uuid()})); });
  add("calls at once all succeed", calls_at_once);
}

}  // namespace vmsec::conformance
