// The domains that a call of libxl works on which cannot be called off: as long as it may still stop,
// build or destroy one, nobody decides about it.
#pragma once

#include <mutex>
#include <set>
#include <string>

#include "vmsec/types.hpp"

namespace vmsec::xen {

// Thread-safe.
class LentDomains {
 public:
  void lend(const Uuid& domain) {
    const std::lock_guard lock(mutex_);
    lent_.insert(domain);
  }
  void come_back(const Uuid& domain) {
    const std::lock_guard lock(mutex_);
    lent_.erase(domain);
  }
  [[nodiscard]] bool has(const Uuid& domain) const {
    const std::lock_guard lock(mutex_);
    return lent_.contains(domain);
  }
  // `wrong_state` while libxl has it; the message begins with `operation`.
  [[nodiscard]] Status require_back(const Uuid& domain, const std::string& operation) const {
    if (!has(domain)) return {};
    return fail(Code::wrong_state, operation + ": libxl has not come back from its migration; ask again");
  }

 private:
  mutable std::mutex mutex_;
  std::set<Uuid> lent_;
};

}  // namespace vmsec::xen
