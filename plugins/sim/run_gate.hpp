// Lets a domain's threads work, or holds them back.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>

#include "clock.hpp"

namespace vmsec::sim {

// Closed at first. Any thread may call.
class RunGate {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    if (open_) return;
    open_ = true;
    ++epoch_;
    changed_.notify_all();
  }
  // When this returns, nobody is between enter() and leave().
  void close() {
    std::unique_lock lock(mutex_);
    open_ = false;
    changed_.wait(lock, [&] { return inside_ == 0; });
  }
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }
  [[nodiscard]] bool is_open() {
    const std::lock_guard lock(mutex_);
    return open_;
  }

  // Waits until `due`, and until the gate is open. Answers in which opening of
  // the gate this is (a thread that sees it change was stopped in between), or
  // nothing at the end.
  std::optional<std::uint64_t> enter(TimePoint due) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, due, [&] { return ended_; });
    changed_.wait(lock, [&] { return ended_ || open_; });
    if (ended_) return std::nullopt;
    ++inside_;
    return epoch_;
  }
  void leave() {
    const std::lock_guard lock(mutex_);
    --inside_;
    if (inside_ == 0 && !open_) changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  bool ended_ = false;
  std::uint64_t epoch_ = 0;
  std::uint32_t inside_ = 0;
};

}  // namespace vmsec::sim
