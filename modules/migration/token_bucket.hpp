// So many bytes a second. The time is given from outside.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "vmsec/types.hpp"

namespace vmsec::migration {

// Not thread-safe. Over any time no more than rate * (time + kBurst) and one piece is let through.
class TokenBucket {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kBurst{50};

  // rate: above 0.
  TokenBucket(BytesPerSecond rate, Clock::time_point now) : rate_(static_cast<double>(rate.value)), last_(now) {}

  // Zero: the bytes may go, and are taken; also more than there are, so that the next ones wait for them. Else how
  // long to wait before asking again.
  Clock::duration take(std::size_t bytes, Clock::time_point now) {
    const std::chrono::duration<double> since = now - last_;
    last_ = now;
    balance_ = std::min(balance_ + rate_ * since.count(), rate_ * std::chrono::duration<double>(kBurst).count());
    if (balance_ >= 0) {
      balance_ -= static_cast<double>(bytes);
      return {};
    }
    return std::chrono::ceil<Clock::duration>(std::chrono::duration<double>(-balance_ / rate_));
  }

 private:
  double rate_;
  double balance_ = 0;
  Clock::time_point last_;
};

}  // namespace vmsec::migration
