// One caller at a time for each guest's port, for a port has one user.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>

#include "vmsec/types.hpp"

namespace vmsec::common {

// Thread-safe.
class GuestTurns {
 public:
  // Ends the turn when it goes.
  class Turn {
   public:
    Turn(GuestTurns& turns, const Uuid& domain) : turns_(&turns), domain_(domain) {}
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)), domain_(other.domain_) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (turns_ != nullptr) turns_->end(domain_);
    }

   private:
    GuestTurns* turns_;
    Uuid domain_;
  };

  // `unavailable` when the callers before take longer than that.
  Result<Turn> take(const Uuid& domain, std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, patience, [&] { return !busy_.contains(domain); }))
      return fail(Code::unavailable, "the port of guest " + domain.text() + " is in use");
    busy_.insert(domain);
    return Turn(*this, domain);
  }

 private:
  void end(const Uuid& domain) {
    const std::lock_guard lock(mutex_);
    busy_.erase(domain);
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<Uuid> busy_;
};

}  // namespace vmsec::common
