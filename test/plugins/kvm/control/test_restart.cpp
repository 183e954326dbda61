#include <algorithm>
#include <atomic>

#include "real_host.hpp"

using namespace vmsec;
using namespace vmsec::kvm::test;

namespace {

void run(const char* variable) {
  INFO(variable);
  REQUIRE(std::system(environment(variable).c_str()) == 0);
}

bool told(Host& host, std::uint64_t after, EventKind kind) {
  const EventList list = must(host.events->next({after, {100'000}, 1000}));
  return std::ranges::any_of(list.events, [&](const Event& each) { return each.kind == kind; });
}

}  // namespace

TEST_CASE("libvirtd is killed and started again: unavailable meanwhile, all as before after") {
  if (!have_host() || !have({"VMSEC_TEST_KVM_KILL", "VMSEC_TEST_KVM_START"})) return;
  Host host;
  const Guest guest(host, {.name = "restart", .command_line = "verify=0 cpu=1", .persistent = true});
  must(host.resources->set({guest.uuid, {.cpu_quota_millis = 300}}));
  // Callers of all kinds, throughout.
  std::atomic<bool> stop = false;
  std::atomic<int> unavailable = 0;
  std::atomic<int> odd = 0;
  std::string odd_text;
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&, i] {
      while (!stop) {
        const auto note = [&](const auto& result) {
          if (result) return;
          if (result.error().code == Code::unavailable) {
            ++unavailable;
          } else if (odd++ == 0) {
            odd_text = result.error().message;
          }
        };
        if (i == 0) note(host.domains->get(guest.ref()));
        if (i == 1) note(host.resources->get(guest.ref()));
        if (i == 2) note(host.domains->list({}));
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    });
  }
  for (int round = 0; round < 2; ++round) {
    const std::uint64_t mark = must(host.events->next({0, {}, 1000})).last;
    run("VMSEC_TEST_KVM_KILL");
    CHECK(eventually([&] { return told(host, mark, EventKind::backend_lost); }));
    CHECK(refusal(host.domains->get(guest.ref())).code == Code::unavailable);
    CHECK(refusal(host.domains->pause(guest.ref())).code == Code::unavailable);
    CHECK(refusal(host.resources->host({})).code == Code::unavailable);
    run("VMSEC_TEST_KVM_START");
    CHECK(eventually([&] { return told(host, mark, EventKind::backend_restored); }));
    CHECK(eventually([&] { return host.domains->get(guest.ref()).has_value(); }));
  }
  stop = true;
  for (auto& caller : callers) caller.join();
  CHECK(unavailable > 0);
  INFO(odd_text);
  CHECK(odd == 0);
  CHECK(must(host.domains->get(guest.ref())).state == DomainState::running);
  CHECK(must(host.resources->get(guest.ref())).cpu_quota_millis == 300);
  // Events come from the new libvirtd too.
  const std::uint64_t mark = must(host.events->next({0, {}, 1000})).last;
  must(host.domains->pause(guest.ref()));
  CHECK(eventually([&] { return told(host, mark, EventKind::domain_paused); }));
}
