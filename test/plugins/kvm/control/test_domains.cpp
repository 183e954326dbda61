#include <algorithm>

#include "real_host.hpp"

using namespace vmsec;
using namespace vmsec::kvm::test;

TEST_CASE("a real domain's details are told") {
  if (!have_host()) return;
  Host host;
  const Guest guest(host, {.name = "details",
                           .vcpus = 2,
                           .metadata = "<metadata><vmsec:tags xmlns:vmsec='https://vmsec.example/domain/1'>web dmz"
                                       "</vmsec:tags></metadata>",
                           .persistent = true});
  const DomainInfo info = must(host.domains->get(guest.ref()));
  CHECK(info.state == DomainState::running);
  CHECK(info.vcpus == 2);
  CHECK(info.memory.value == 64 << 20);
  CHECK(info.persistent);
  CHECK_FALSE(info.tpm);
  CHECK(info.tags == std::vector<std::string>{"web", "dmz"});
  const DomainList list = must(host.domains->list({}));
  CHECK(std::ranges::is_sorted(list.domains, {}, &DomainInfo::name));
  CHECK(std::ranges::count(list.domains, guest.uuid, &DomainInfo::domain) == 1);
}

TEST_CASE("a paused domain uses no CPU, a resumed one goes on, and both are told") {
  if (!have_host()) return;
  Host host;
  const Guest guest(host, {.name = "pause", .command_line = "verify=0 cpu=1"});
  const auto cpu_time = [&] { return must(host.domains->get(guest.ref())).cpu_time.value; };
  REQUIRE(eventually([&] { return cpu_time() > 0; }));
  const std::uint64_t mark = must(host.events->next({0, {}, 1000})).last;
  for (int i = 0; i < 2; ++i) must(host.domains->pause(guest.ref()));
  const std::uint64_t before = cpu_time();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  // Linux counts a process's time in ticks of 10 ms: one that had begun may still be counted.
  CHECK(cpu_time() - before <= 10'000);
  for (int i = 0; i < 2; ++i) must(host.domains->resume(guest.ref()));
  CHECK(eventually([&] { return cpu_time() > before; }));
  const auto told = [&](EventKind kind) {
    const EventList list = must(host.events->next({mark, {100'000}, 1000}));
    return std::ranges::any_of(list.events,
                               [&](const Event& each) { return each.kind == kind && each.domain == guest.uuid; });
  };
  CHECK(eventually([&] { return told(EventKind::domain_paused) && told(EventKind::domain_resumed); }));
}

TEST_CASE("a device that is plugged in is an event") {
  if (!have_host()) return;
  Host host;
  const Guest guest(host, {.name = "hotplug"});
  const char* device = "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>";
  REQUIRE(virDomainAttachDevice(guest.handle(), device) == 0);
  CHECK(eventually([&] {
    return std::ranges::any_of(must(host.events->next({})).events, [&](const Event& event) {
      return event.kind == EventKind::devices_changed && event.domain == guest.uuid && event.detail == "rng0";
    });
  }));
}
