// The events of this host, the newest of them kept.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "clock.hpp"
#include "vmsec/capability/events.hpp"

namespace vmsec::sim {

// Any thread may call.
class EventRing {
 public:
  static constexpr std::size_t kKept = 4096;
  static constexpr std::uint32_t kAnswerMaximum = 1000;

  void add(EventKind kind, Uuid domain, std::string name, std::string detail) {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(since).count();
    const std::lock_guard lock(mutex_);
    if (events_.size() == kKept) events_.pop_front();
    events_.push_back(
        {++last_, kind, domain, std::move(name), {static_cast<std::uint64_t>(micros)}, std::move(detail)});
    changed_.notify_all();
  }

  EventList next(const NextEvents& request) {
    constexpr std::uint64_t kLongestWait = 3600'000'000;
    const auto wait = std::chrono::microseconds(std::min(request.wait.value, kLongestWait));
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, Clock::now() + wait, [&] { return closed_ || last_ > request.after; });
    EventList list;
    list.last = last_;
    if (last_ <= request.after) return list;
    const std::uint64_t oldest = events_.front().sequence;
    if (request.after + 1 < oldest) list.dropped = oldest - request.after - 1;
    const std::uint64_t first = std::max(oldest, request.after + 1);
    const std::uint32_t most = std::min(request.maximum == 0 ? 100 : request.maximum, kAnswerMaximum);
    for (std::uint64_t i = first; i <= last_ && list.events.size() < most; ++i)
      list.events.push_back(events_[i - oldest]);
    return list;
  }

  // Everybody who waits gets an empty answer.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Event> events_;
  std::uint64_t last_ = 0;
  bool closed_ = false;
};

}  // namespace vmsec::sim
