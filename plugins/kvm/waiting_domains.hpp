// Domains whose QEMU may be waiting for another host's.
//
// QEMU connects a disk's copy while it serves libvirt, and libvirt makes whoever asks about the domain wait for
// that, for 30 s. The connection is carried by the migration's module; were it to ask meanwhile, each would wait
// for the other.
#pragma once

#include <mutex>
#include <set>

#include "vmsec/types.hpp"

namespace vmsec::kvm {

// Thread-safe. The migration fills it; who would ask QEMU about a domain looks first.
class WaitingDomains {
 public:
  void add(const Uuid& domain) {
    const std::lock_guard lock(mutex_);
    domains_.insert(domain);
  }
  void remove(const Uuid& domain) {
    const std::lock_guard lock(mutex_);
    domains_.erase(domain);
  }
  [[nodiscard]] bool contains(const Uuid& domain) const {
    const std::lock_guard lock(mutex_);
    return domains_.contains(domain);
  }

 private:
  mutable std::mutex mutex_;
  std::set<Uuid> domains_;
};

}  // namespace vmsec::kvm
