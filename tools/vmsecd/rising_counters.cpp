#include "rising_counters.hpp"

namespace vmsec::daemon {
namespace {

// A counter that fell while no vCPU went is that of a VM that was started anew.
void follow(std::uint64_t now, std::uint64_t before, bool fewer, std::uint64_t& lost) {
  if (now >= before) return;
  lost = fewer ? lost + before - now : 0;
}

}  // namespace

void RisingCounters::keep(std::vector<tools::Reading>& readings) {
  std::map<Uuid, Seen> seen;
  for (auto& reading : readings) {
    DomainInfo& domain = reading.domain;
    if (domain.state == DomainState::shut_off) continue;
    Seen now;
    if (const auto before = seen_.find(domain.domain); before != seen_.end()) now = before->second;
    const bool fewer = domain.vcpus < now.vcpus;
    follow(domain.cpu_time.value, now.cpu_time, fewer, now.lost_cpu_time);
    if (domain.cpu_steal) follow(domain.cpu_steal->value, now.steal, fewer, now.lost_steal);
    now.vcpus = domain.vcpus;
    now.cpu_time = domain.cpu_time.value;
    if (domain.cpu_steal) now.steal = domain.cpu_steal->value;
    domain.cpu_time.value += now.lost_cpu_time;
    if (domain.cpu_steal) domain.cpu_steal->value += now.lost_steal;
    seen[domain.domain] = now;
  }
  seen_ = std::move(seen);
}

}  // namespace vmsec::daemon
