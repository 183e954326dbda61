#include "event_ring.hpp"

#include <algorithm>

namespace vmsec::common {
namespace {

constexpr std::uint32_t kUsualMaximum = 100;
constexpr std::uint64_t kLongestWait = 3'600'000'000;  // an hour: the clock's arithmetic never overflows

Microseconds now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return {static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(since).count())};
}

}  // namespace

void EventRing::push(EventKind kind, const Uuid& domain, std::string name, std::string detail) {
  const std::lock_guard lock(mutex_);
  events_.push_back({++last_, kind, domain, std::move(name), now(), std::move(detail)});
  if (events_.size() > kKept) events_.pop_front();
  arrived_.notify_all();
}

EventList EventRing::next(const NextEvents& request) {
  const auto wait = std::chrono::microseconds(std::min(request.wait.value, kLongestWait));
  std::unique_lock lock(mutex_);
  arrived_.wait_for(lock, wait, [&] { return stopped_ || last_ > request.after; });
  EventList out;
  out.last = last_;
  const std::uint64_t oldest = events_.empty() ? last_ + 1 : events_.front().sequence;
  if (request.after < last_ && request.after + 1 < oldest) out.dropped = oldest - request.after - 1;
  const std::size_t maximum = request.maximum == 0 ? kUsualMaximum : request.maximum;
  const auto first = std::ranges::upper_bound(events_, request.after, {}, &Event::sequence);
  for (auto each = first; each != events_.end() && out.events.size() < maximum; ++each) out.events.push_back(*each);
  return out;
}

void EventRing::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  arrived_.notify_all();
}

}  // namespace vmsec::common
