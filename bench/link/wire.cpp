#include "wire.hpp"

#include <algorithm>
#include <cmath>

namespace vmsec::link {

Time Wire::carry(Time now, std::size_t bytes) {
  if (rate_ == 0) return now;
  free_ = std::max(free_, now - kBurst) +
          Duration(static_cast<std::int64_t>(static_cast<double>(bytes) * 1e9 / static_cast<double>(rate_)));
  return std::max(free_, now);
}

Flow::Flow(const Shape& shape, std::uint64_t number)
    : shape_(shape), random_(shape.seed * 0x9E3779B97F4A7C15U + number), most_(shape.window()), window_(most_) {}

Duration Flow::one_way() {
  if (shape_.jitter.count() == 0) return shape_.delay;
  std::uniform_int_distribution<std::int64_t> spread(-shape_.jitter.count(), shape_.jitter.count());
  return shape_.delay + Duration(spread(random_));
}

bool Flow::is_hit(std::size_t bytes) {
  if (shape_.loss <= 0) return false;
  const double segments = std::ceil(static_cast<double>(bytes) / kSegment);
  return std::uniform_real_distribution<>(0, 1)(random_) < 1 - std::pow(1 - shape_.loss, segments);
}

Duration Flow::suffer(Wire& wire, Time now) {
  ++losses_;
  wire.carry(now, kSegment);
  if (window_ < 4 * kSegment) {
    window_ = kSegment;
    return kRetransmissionTimeout;
  }
  if (now >= recovered_) {
    window_ = std::max(window_ / 2, 2 * kSegment);
    recovered_ = now + shape_.round_trip();
  }
  return shape_.round_trip();
}

Time Flow::send(Wire& wire, Time now, std::size_t bytes) {
  Time arrival = wire.carry(now, bytes) + one_way();
  if (is_hit(bytes)) arrival += suffer(wire, now);
  under_way_ += bytes;
  last_arrival_ = std::max(last_arrival_, arrival);  // behind what was sent before
  return last_arrival_;
}

void Flow::received(Time now, std::size_t bytes) { acknowledgements_.push_back({now + shape_.delay, bytes}); }

void Flow::learn(Time now) {
  while (!acknowledgements_.empty() && acknowledgements_.front().time <= now) {
    const std::size_t bytes = acknowledgements_.front().bytes;
    acknowledgements_.pop_front();
    under_way_ -= bytes;
    if (window_ < most_) window_ = std::min(most_, window_ + std::max<std::size_t>(1, kSegment * bytes / window_));
  }
}

}  // namespace vmsec::link
