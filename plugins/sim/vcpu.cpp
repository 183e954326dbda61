#include "vcpu.hpp"

#include <algorithm>

namespace vmsec::sim {
namespace {

constexpr double kTicksPerSecond = 100;
constexpr int kWritesPerStep = 1024;  // about a millisecond
constexpr std::uint64_t kHotPercent = 90;

double write_rate(const DomainSpec& spec) {
  if (spec.workload.pattern == Pattern::idle) return 0;
  return static_cast<double>(spec.workload.dirty_rate) / spec.vcpus_maximum;
}

}  // namespace

Vcpu::Vcpu(const DomainSpec& spec, std::uint32_t index, GuestMemory& memory, CpuTime& time)
    : workload_(spec.workload),
      index_(index),
      memory_(memory),
      time_(time),
      state_{splitmix64(spec.seed + index), memory.pages() / spec.vcpus_maximum * index},
      writes_(write_rate(spec)) {}

void Vcpu::set_online(bool online) {
  const std::lock_guard lock(stepping_);
  online_ = online;
}

Next Vcpu::step(TimePoint now, double seconds) {
  const std::lock_guard lock(stepping_);
  if (!online_) return Next::sleep;
  const double wanted = workload_.cpu * seconds * (100 - throttle_.load()) / 100;
  const double granted = wanted > 0 ? time_.take(wanted * 1e6, now) / 1e6 : 0;
  // The timer interrupt: it comes while the domain runs, however little CPU it gets.
  if (index_ == 0) {
    ticks_ += seconds * kTicksPerSecond;
    const auto whole = static_cast<std::uint64_t>(ticks_);
    if (whole != 0) memory_.set_tick(memory_.tick() + whole);
    ticks_ -= static_cast<double>(whole);
  }
  if (workload_.cpu > 0) writes_.pass(granted / workload_.cpu, 1);
  for (int i = 0; i < kWritesPerStep; ++i) {
    if (writes_.due() < 1) return Next::sleep;
    memory_.write_page(choose());
    writes_.done(1);
  }
  return Next::again;
}

std::size_t Vcpu::choose() {
  const std::size_t pages = memory_.pages() - 1;  // page 0 is the tick's
  if (workload_.pattern == Pattern::sequential) return 1 + state_.cursor++ % pages;
  state_.random = splitmix64(state_.random);
  const std::uint64_t draw = splitmix64(~state_.random);
  if (workload_.pattern == Pattern::hot && draw % 100 < kHotPercent) {
    const auto hot = static_cast<std::size_t>(static_cast<double>(pages) * workload_.hot_fraction);
    return 1 + state_.random % std::max<std::size_t>(1, hot);
  }
  return 1 + state_.random % pages;
}

}  // namespace vmsec::sim
