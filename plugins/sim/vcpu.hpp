// A virtual CPU: wants its share of CPU time, and dirties pages with it.
#pragma once

#include <atomic>
#include <mutex>

#include "domain_spec.hpp"
#include "guest_memory.hpp"
#include "token_bucket.hpp"
#include "vmsec/wire.hpp"
#include "worker.hpp"

namespace vmsec::sim {

// The CPU time of all vCPUs of one domain. A sim host has so many CPU-seconds a
// second; they are units of work, and burn nothing of the machine's own.
class CpuTime {
 public:
  // Upper bound in CPU microseconds a second. 0: nothing at all.
  void set_rate(std::uint64_t micros) {
    const std::lock_guard lock(mutex_);
    stopped_ = micros == 0;
    const auto rate = static_cast<double>(micros);
    bucket_.set(rate, rate * 0.1);
  }
  double take(double micros, TimePoint now) {
    const std::lock_guard lock(mutex_);
    if (stopped_) {
      stolen_ += micros;
      return 0;
    }
    const double granted = bucket_.take(micros, now);
    used_ += granted;
    stolen_ += micros - granted;
    return granted;
  }
  [[nodiscard]] std::uint64_t used() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::uint64_t>(used_);
  }
  // Wanted, and not given.
  [[nodiscard]] std::uint64_t stolen() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::uint64_t>(stolen_);
  }
  void set_used(std::uint64_t micros) {
    const std::lock_guard lock(mutex_);
    used_ = static_cast<double>(micros);
  }

 private:
  mutable std::mutex mutex_;
  TokenBucket bucket_;
  bool stopped_ = true;
  double used_ = 0;
  double stolen_ = 0;
};

// Where a vCPU is in its (deterministic) sequence of pages.
struct VcpuState {
  std::uint64_t random = 0;
  std::uint64_t cursor = 0;
  static constexpr std::string_view kMessage = "vmsec.sim.VcpuState";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "random", &VcpuState::random), wire::field(2, "cursor", &VcpuState::cursor));
  }
};

class Vcpu final : public Worker {
 public:
  Vcpu(const DomainSpec& spec, std::uint32_t index, GuestMemory& memory, CpuTime& time);
  Next step(TimePoint now, double seconds) override;
  // Takes it away, or gives it back. When this returns, one that was taken away does nothing any more.
  void set_online(bool online);
  // Per cent of the work that the migration engine takes away, to converge.
  void throttle(std::uint32_t percent) { throttle_.store(percent); }

  // Only while the domain is stopped.
  [[nodiscard]] VcpuState state() const { return state_; }
  void set_state(const VcpuState& state) { state_ = state; }

 private:
  std::size_t choose();

  const CpuWorkload workload_;
  const std::uint32_t index_;
  GuestMemory& memory_;
  CpuTime& time_;
  std::atomic<std::uint32_t> throttle_{0};
  std::mutex stepping_;
  bool online_ = true;
  VcpuState state_;
  Demand writes_;
  double ticks_ = 0;
};

}  // namespace vmsec::sim
