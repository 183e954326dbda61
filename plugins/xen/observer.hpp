// What the backend knows of its domains' states, and tells as events when it changes.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "event_ring.hpp"
#include "vmsec/capability/domain_control.hpp"

namespace vmsec::xen {

struct Observed {
  Uuid uuid;
  std::string name;
  DomainState state = DomainState::unknown;
};

// Thread-safe. Who changes a domain's state notes it at once; a poll notes the rest.
class Observer {
 public:
  explicit Observer(std::shared_ptr<common::EventRing> ring) : ring_(std::move(ring)) {}
  // One domain, as it is now.
  void note(const Observed& domain);
  // All there are: what is not among them has stopped.
  void note_all(const std::vector<Observed>& domains);
  void lost(const std::string& why);
  void restored();
  // The name that was noted, empty where none was.
  [[nodiscard]] std::string name_of(const Uuid& uuid) const;

 private:
  void note_locked(const Observed& domain);

  std::shared_ptr<common::EventRing> ring_;
  mutable std::mutex mutex_;
  std::map<Uuid, Observed> known_;
  bool lost_ = false;
};

}  // namespace vmsec::xen
