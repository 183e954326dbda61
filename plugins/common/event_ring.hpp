// The last events of a backend, for any number of readers.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>

#include "vmsec/capability/events.hpp"

namespace vmsec::common {

// Thread-safe.
class EventRing {
 public:
  static constexpr std::size_t kKept = 4096;

  void push(EventKind kind, const Uuid& domain, std::string name, std::string detail);
  // As Events::next.
  EventList next(const NextEvents& request);
  // From now on nobody waits: the backend ends.
  void stop();

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Event> events_;
  std::uint64_t last_ = 0;
  bool stopped_ = false;
};

}  // namespace vmsec::common
