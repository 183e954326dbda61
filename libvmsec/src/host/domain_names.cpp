#include "host/domain_names.hpp"

namespace vmsec::host {

DomainName DomainNames::of(const Uuid& domain) {
  const auto now = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(domain);
    if (found != entries_.end() && now - found->second.asked < std::chrono::seconds(2)) return found->second.name;
  }
  Result<DomainInfo> info = fail(Code::unsupported, "no domains");
  if (domains_ != nullptr) info = domains_->get(DomainRef{domain});
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[domain];
  entry.asked = now;
  if (info) entry.name = {info->name, info->tags};
  return entry.name;
}

void DomainNames::announce(const Uuid& domain, const std::string& name) {
  const std::lock_guard lock(mutex_);
  entries_[domain] = {{name, {}}, std::chrono::steady_clock::now()};
}

}  // namespace vmsec::host
