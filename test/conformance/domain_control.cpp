#include <algorithm>
#include <atomic>
#include <set>

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
    CONFORMANCE_EXPECT(info.name == entry.name && info.vcpus == entry.vcpus &&
                           info.vcpus_maximum == entry.vcpus_maximum && info.memory == entry.memory,
                       "get of " + entry.name + " differs from its entry");
  }
  return passed();
}

Outcome details_are_there(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({domain}));
  CONFORMANCE_EXPECT(info.vcpus > 0 && info.memory.value > 0, "no vCPUs or no memory");
  CONFORMANCE_EXPECT(info.vcpus_maximum >= info.vcpus, "more vCPUs than its maximum");
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

// Whatever a check does to the domain, it runs afterwards.
template <class Test>
Outcome while_paused(Fixture& fixture, Test&& test) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto domains = fixture.open_a<DomainControl>();
  CONFORMANCE_CHECK(domains->pause({domain}));
  const Outcome outcome = test(domain);
  CONFORMANCE_CHECK(domains->resume({domain}));
  return outcome;
}

Outcome names_are_unique(Fixture& fixture) {
  CONFORMANCE_TRY(const auto list, fixture.open_a<DomainControl>()->list({}));
  std::set<std::string> names;
  std::set<Uuid> uuids;
  for (const auto& entry : list.domains) {
    CONFORMANCE_EXPECT(!entry.name.empty() && !entry.domain.is_nil(), "a domain without a name or UUID");
    names.insert(entry.name);
    uuids.insert(entry.domain);
  }
  CONFORMANCE_EXPECT(names.size() == list.domains.size() && uuids.size() == list.domains.size(), "one is there twice");
  return passed();
}

Outcome devices_are_unique(Fixture& fixture) {
  CONFORMANCE_TRY(const auto list, fixture.open_a<DomainControl>()->list({}));
  for (const auto& entry : list.domains) {
    std::set<std::string> targets;
    for (const auto& disk : entry.disks) targets.insert(disk.target);
    for (const auto& nic : entry.nics) targets.insert(nic.target);
    CONFORMANCE_EXPECT(targets.size() == entry.disks.size() + entry.nics.size(), "two devices have one name");
    CONFORMANCE_EXPECT(!targets.contains(""), "a device without a name");
  }
  return passed();
}

Outcome nic_has_an_address(Fixture& fixture) {
  if (fixture.setup().nic.empty()) return {Verdict::unsupported, "the domain has no NIC"};
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({domain}));
  for (const auto& nic : info.nics)
    if (nic.target == fixture.setup().nic && nic.mac.size() == 17 && nic.mac[2] == ':') return passed(nic.mac);
  return failed("no NIC " + fixture.setup().nic + " with a MAC address");
}

Outcome list_tells_the_pause(Fixture& fixture) {
  return while_paused(fixture, [&](const Uuid& domain) {
    CONFORMANCE_TRY(const auto list, fixture.open_a<DomainControl>()->list({}));
    for (const auto& entry : list.domains)
      if (entry.domain == domain && entry.state == DomainState::paused) return passed();
    return failed("the list does not say that it is paused");
  });
}

Outcome other_handle_resumes(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->pause({domain}));
  CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->resume({domain}));
  CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({domain}));
  CONFORMANCE_EXPECT(info.state == DomainState::running, "it does not run");
  return passed();
}

Outcome details_stay(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(auto before, fixture.open_a<DomainControl>()->get({domain}));
  return while_paused(fixture, [&](const Uuid&) {
    CONFORMANCE_TRY(auto after, fixture.open_a<DomainControl>()->get({domain}));
    before.state = after.state;
    before.cpu_time = after.cpu_time;
    before.cpu_steal = after.cpu_steal;
    CONFORMANCE_EXPECT(wire::encode(before) == wire::encode(after), "something else than its state changed");
    return passed();
  });
}

Outcome others_go_on(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid other, fixture.find(fixture.setup().traveller));
  return while_paused(fixture, [&](const Uuid&) {
    CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({other}));
    CONFORMANCE_EXPECT(info.state == DomainState::running, "the other domain does not run");
    return passed();
  });
}

Outcome hosts_are_apart(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  return expect(Code::not_found, fixture.open_b<DomainControl>()->get({domain}));
}

Outcome pauses_do_not_add_up(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto domains = fixture.open_a<DomainControl>();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] { static_cast<void>(fixture.open_a<DomainControl>()->pause({domain})); });
  }
  CONFORMANCE_TRY(const auto paused, domains->get({domain}));
  CONFORMANCE_CHECK(domains->resume({domain}));
  CONFORMANCE_TRY(const auto resumed, domains->get({domain}));
  CONFORMANCE_EXPECT(paused.state == DomainState::paused, "it is not paused");
  CONFORMANCE_EXPECT(resumed.state == DomainState::running, "one resume did not undo four pauses at once");
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
        for (int n = 0; n < 8; ++n)
          if (!domains->get({domain}) || !domains->list({})) ++bad;
      });
  }
  CONFORMANCE_EXPECT(bad == 0, std::to_string(bad.load()) + " of 128 calls failed");
  return passed("128 calls by 8 threads");
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
  add("names and UUIDs are there, and unique", names_are_unique);
  add("a domain's devices have names of their own", devices_are_unique);
  add("a NIC's address is told", nic_has_an_address);
  add("the list tells a pause", list_tells_the_pause);
  add("what one pauses, another resumes", other_handle_resumes);
  add("a pause changes nothing but the state", details_stay);
  add("a pause leaves other domains running", others_go_on);
  add("a domain of one host is not found at the other", hosts_are_apart);
  add("pauses at once do not add up", pauses_do_not_add_up);
  add("calls at once all succeed", calls_at_once);
}

}  // namespace vmsec::conformance
