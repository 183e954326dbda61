// A lock for each migration that somebody is at.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "vmsec/types.hpp"

namespace vmsec::migration {

// Any thread.
class MigrationLocks {
 public:
  std::shared_ptr<std::mutex> of(const Uuid& migration) {
    const std::lock_guard lock(mutex_);
    std::erase_if(locks_, [](const auto& each) { return each.second.use_count() == 1; });
    auto& found = locks_[migration];
    if (!found) found = std::make_shared<std::mutex>();
    return found;
  }

 private:
  std::mutex mutex_;
  std::map<Uuid, std::shared_ptr<std::mutex>> locks_;
};

}  // namespace vmsec::migration
