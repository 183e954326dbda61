// A virtual NIC: frames are counted and bounded; no byte of them exists.
#pragma once

#include <mutex>

#include "domain_spec.hpp"
#include "token_bucket.hpp"
#include "vmsec/capability/io_control.hpp"
#include "worker.hpp"

namespace vmsec::sim {

class NicDevice final : public Worker {
 public:
  explicit NicDevice(const NicSpec& spec)
      : spec_(spec),
        receive_{Demand(static_cast<double>(spec.receive.value)), {}, 0, 0},
        transmit_{Demand(static_cast<double>(spec.transmit.value)), {}, 0, 0} {}

  Next step(TimePoint now, double seconds) override {
    const std::lock_guard lock(mutex_);
    pass(receive_, now, seconds);
    pass(transmit_, now, seconds);
    return Next::sleep;
  }

  [[nodiscard]] const std::string& target() const { return spec_.target; }
  void set_limit(const NicLimit& limit) {
    const std::lock_guard lock(mutex_);
    receive_.limit.set(limit.receive.value, 0, 0);
    transmit_.limit.set(limit.transmit.value, 0, 0);
  }
  [[nodiscard]] IoCounters counters() const {
    const std::lock_guard lock(mutex_);
    return {spec_.target, {receive_.bytes}, {transmit_.bytes}, receive_.frames, transmit_.frames};
  }
  void set_counters(const IoCounters& counters) {
    const std::lock_guard lock(mutex_);
    receive_.bytes = counters.read.value;
    transmit_.bytes = counters.written.value;
    receive_.frames = counters.read_ops;
    transmit_.frames = counters.write_ops;
  }

 private:
  static constexpr std::uint64_t kFrame = 1500;
  struct Direction {
    Demand demand;
    RateLimit limit;
    std::uint64_t bytes = 0;
    std::uint64_t frames = 0;
  };

  static void pass(Direction& direction, TimePoint now, double seconds) {
    direction.demand.pass(seconds, kFrame);
    while (direction.demand.due() >= kFrame && direction.limit.ready(now)) {
      direction.demand.done(kFrame);
      direction.limit.spend(kFrame);
      direction.bytes += kFrame;
      ++direction.frames;
    }
  }

  const NicSpec spec_;
  mutable std::mutex mutex_;
  Direction receive_;
  Direction transmit_;
};

}  // namespace vmsec::sim
