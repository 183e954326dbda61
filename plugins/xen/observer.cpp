#include "observer.hpp"

#include <algorithm>

namespace vmsec::xen {

void Observer::note(const Observed& domain) {
  const std::lock_guard lock(mutex_);
  note_locked(domain);
}

void Observer::note_locked(const Observed& domain) {
  const auto [place, fresh] = known_.try_emplace(domain.uuid, domain);
  if (fresh) {
    ring_->push(EventKind::domain_started, domain.uuid, domain.name, {});
    if (domain.state != DomainState::paused) return;
    return ring_->push(EventKind::domain_paused, domain.uuid, domain.name, {});
  }
  const DomainState before = place->second.state;
  place->second = domain;
  if (before == domain.state) return;
  switch (domain.state) {
    case DomainState::paused:
      return ring_->push(EventKind::domain_paused, domain.uuid, domain.name, {});
    case DomainState::running:
      return ring_->push(EventKind::domain_resumed, domain.uuid, domain.name, {});
    case DomainState::crashed:
      return ring_->push(EventKind::domain_stopped, domain.uuid, domain.name, "crashed");
    case DomainState::shut_off:
      return ring_->push(EventKind::domain_stopped, domain.uuid, domain.name, "shut down");
    case DomainState::unknown:
      return;
  }
}

void Observer::note_all(const std::vector<Observed>& domains) {
  const std::lock_guard lock(mutex_);
  for (auto at = known_.begin(); at != known_.end();) {
    if (std::ranges::find(domains, at->first, &Observed::uuid) != domains.end()) {
      ++at;
      continue;
    }
    const Observed& gone = at->second;
    if (gone.state == DomainState::running || gone.state == DomainState::paused)
      ring_->push(EventKind::domain_stopped, gone.uuid, gone.name, "destroyed");
    ring_->push(EventKind::domain_undefined, gone.uuid, gone.name, {});
    at = known_.erase(at);
  }
  for (const Observed& domain : domains) note_locked(domain);
}

void Observer::lost(const std::string& why) {
  const std::lock_guard lock(mutex_);
  if (lost_) return;
  lost_ = true;
  ring_->push(EventKind::backend_lost, {}, {}, why);
}

void Observer::restored() {
  const std::lock_guard lock(mutex_);
  if (!lost_) return;
  lost_ = false;
  ring_->push(EventKind::backend_restored, {}, {}, "xenstored answers again");
}

std::string Observer::name_of(const Uuid& uuid) const {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(uuid);
  return found == known_.end() ? std::string() : found->second.name;
}

}  // namespace vmsec::xen
