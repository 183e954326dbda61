// How fast something may pass: a rate, and what may be saved up while nothing does.
#pragma once

#include <algorithm>
#include <cstdint>

#include "clock.hpp"

namespace vmsec::sim {

// Not thread-safe. Time comes from the caller, so that tests need no clock.
class TokenBucket {
 public:
  // `rate` units a second; 0 is unlimited. What was saved up is kept, within the new capacity.
  void set(double rate, double capacity) {
    rate_ = rate;
    capacity_ = capacity;
    level_ = std::min(level_, capacity_);
  }
  void fill() { level_ = capacity_; }

  // How much of `wanted` may pass now; it has passed then.
  double take(double wanted, TimePoint now) {
    if (rate_ <= 0) return wanted;
    refill(now);
    const double granted = std::clamp(level_, 0.0, wanted);
    level_ -= granted;
    return granted;
  }

  // Whole operations may be bigger than what is there: one passes as long as
  // there is no debt, and the next ones wait until its debt is paid. So the rate
  // holds for any size of operation.
  bool ready(TimePoint now) {
    if (rate_ <= 0) return true;
    refill(now);
    return level_ > 0;
  }
  void spend(double amount) {
    if (rate_ > 0) level_ -= amount;
  }

  // How long until ready() answers true; 0 when it does now.
  double seconds_until_ready(TimePoint now) {
    if (ready(now)) return 0;
    return (1e-6 - level_) / rate_;
  }

 private:
  void refill(TimePoint now) {
    if (last_ != TimePoint{}) level_ = std::min(capacity_, level_ + rate_ * std::max(0.0, seconds_between(last_, now)));
    last_ = now;
  }

  double rate_ = 0;
  double capacity_ = 0;
  double level_ = 0;
  TimePoint last_{};
};

// An average with a burst above it: two buckets, both of which must be ready.
class RateLimit {
 public:
  // `burst` (0: none) may be reached for `burst_seconds` together (0: one second).
  void set(std::uint64_t average, std::uint64_t burst, std::uint32_t burst_seconds) {
    const auto rate = static_cast<double>(average);
    const auto peak_rate = static_cast<double>(burst);
    if (burst <= average) {
      average_.set(rate, rate * kSlack);
      peak_.set(0, 0);
      return;
    }
    average_.set(rate, (peak_rate - rate) * std::max<std::uint32_t>(1, burst_seconds));
    average_.fill();
    peak_.set(peak_rate, peak_rate * kSlack);
  }
  bool ready(TimePoint now) {
    const bool average = average_.ready(now);
    return peak_.ready(now) && average;
  }
  void spend(double amount) {
    average_.spend(amount);
    peak_.spend(amount);
  }

 private:
  // A worker that wakes late makes up for so many seconds, and no more.
  static constexpr double kSlack = 0.1;

  TokenBucket average_;
  TokenBucket peak_;
};

}  // namespace vmsec::sim
