// The connections that this module holds, by host: a revocation ends them.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "vmsec/service/peers.hpp"

namespace vmsec::boot {

// Any thread. Borrows Peers.
class OpenLinks {
 public:
  explicit OpenLinks(Peers& peers) : peers_(peers) {}

  void add(const PeerContext& context) {
    const std::lock_guard lock(mutex_);
    open_[context.connection] = context.peer;
  }
  void remove(std::uint64_t connection) {
    const std::lock_guard lock(mutex_);
    open_.erase(connection);
  }
  // Whoever waits for an answer on one hears that it has ended.
  void close(const std::string& host) {
    std::vector<std::uint64_t> of_host;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [connection, peer] : open_)
        if (peer == host) of_host.push_back(connection);
    }
    // That it could not be closed means that it has ended.
    for (const auto connection : of_host) static_cast<void>(peers_.close({connection}));
  }

 private:
  Peers& peers_;
  std::mutex mutex_;
  std::map<std::uint64_t, std::string> open_;
};

}  // namespace vmsec::boot
