// Threads that each serve one socket, and how they end: stop() shuts every
// socket down, so that blocked reads return, and joins.
#pragma once

#include <sys/socket.h>

#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

#include "vmsec/fd.hpp"

namespace vmsec::rpc {

class ConnectionThreads {
 public:
  explicit ConnectionThreads(std::size_t maximum) : maximum_(maximum) {}
  ~ConnectionThreads() { stop(); }

  // Runs serve(socket) in a thread and closes the socket when it returns. False
  // (and the socket closed) when there are too many, or stop() has begun.
  bool start(Fd socket, std::function<void(int)> serve) {
    const std::lock_guard lock(mutex_);
    reap();
    if (stopping_ || entries_.size() >= maximum_) return false;
    Entry& entry = entries_.emplace_back();
    entry.socket = std::move(socket);
    entry.thread = std::thread([this, &entry, serve = std::move(serve)] {
      serve(entry.socket.get());
      const std::lock_guard done_lock(mutex_);
      entry.socket.reset();
      entry.done = true;
    });
    return true;
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      for (auto& entry : entries_)
        if (entry.socket.valid()) ::shutdown(entry.socket.get(), SHUT_RDWR);
    }
    // No thread adds entries any more; joining outside of the lock lets them end.
    for (auto& entry : entries_)
      if (entry.thread.joinable()) entry.thread.join();
    entries_.clear();
  }

 private:
  struct Entry {
    Fd socket;
    std::thread thread;
    bool done = false;
  };

  void reap() {
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      if (!entry->done) {
        ++entry;
        continue;
      }
      entry->thread.join();
      entry = entries_.erase(entry);
    }
  }

  const std::size_t maximum_;
  std::mutex mutex_;
  std::list<Entry> entries_;
  bool stopping_ = false;
};

}  // namespace vmsec::rpc
