// The domains that belong to a migration which is not decided: nobody but that
// migration may run or stop them.
#pragma once

#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "vmsec/types.hpp"

namespace vmsec::common {

// Thread-safe. The migration fills it; DomainControl asks it.
class HeldDomains {
 public:
  // While it lives, no domain becomes held: a resume that was allowed has
  // happened before the hold, never after. Dropped by the thread that got it.
  using Permit = std::shared_lock<std::shared_mutex>;

  // Waits for the permits that are out. Holding twice is holding once.
  void hold(const Uuid& domain, const Uuid& migration) {
    const std::unique_lock lock(mutex_);
    Held& held = held_[domain];
    if (held.migration != migration) held = {migration};
  }
  // The libvirtd of this host was told that the destination has loaded the domain: it
  // never lets it go on here, not after its own death either.
  void told_loaded(const Uuid& domain) {
    const std::unique_lock lock(mutex_);
    if (const auto found = held_.find(domain); found != held_.end()) found->second.told_loaded = true;
  }
  [[nodiscard]] bool was_told_loaded(const Uuid& domain) const {
    const std::shared_lock lock(mutex_);
    const auto found = held_.find(domain);
    return found != held_.end() && found->second.told_loaded;
  }
  void release(const Uuid& domain) {
    const std::unique_lock lock(mutex_);
    held_.erase(domain);
  }
  [[nodiscard]] bool is_held(const Uuid& domain) const {
    const std::shared_lock lock(mutex_);
    return held_.contains(domain);
  }
  // `wrong_state` for a held domain; the message begins with `operation`.
  [[nodiscard]] Result<Permit> permit(const Uuid& domain, const std::string& operation) const {
    Permit lock(mutex_);
    const auto found = held_.find(domain);
    if (found == held_.end()) return lock;
    return fail(Code::wrong_state, operation + ": it belongs to migration " + found->second.migration.text() +
                                       ", which is not decided (resolve it first)");
  }

 private:
  struct Held {
    Uuid migration;
    bool told_loaded = false;
  };

  mutable std::shared_mutex mutex_;
  std::map<Uuid, Held> held_;
};

}  // namespace vmsec::common
