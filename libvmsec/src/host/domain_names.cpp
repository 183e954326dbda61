#include "host/domain_names.hpp"

namespace vmsec::host {
namespace {

constexpr std::chrono::seconds kFresh{2};

}  // namespace

Result<DomainInfo> DomainNames::ask(const Uuid& domain) const {
  if (domains_ == nullptr) return fail(Code::not_found, "this backend lists no domains");
  return domains_->get(DomainRef{domain});
}

DomainName DomainNames::remember(const Uuid& domain, const Result<DomainInfo>& info) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[domain];
  entry.asked = std::chrono::steady_clock::now();
  if (info) {
    entry.name = {info->name, info->tags};
    entry.from = From::backend;
  }
  return entry.name;
}

DomainName DomainNames::of(const Uuid& domain) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(domain);
    // What was only announced is never taken for granted: the domain may have come under another name.
    if (found != entries_.end() && found->second.from != From::announcement &&
        std::chrono::steady_clock::now() - found->second.asked < kFresh)
      return found->second.name;
  }
  return remember(domain, ask(domain));
}

void DomainNames::announce(const Uuid& domain, const std::string& name) {
  const auto info = ask(domain);
  if (info || info.error().code != Code::not_found) {
    remember(domain, info);
    return;
  }
  const std::lock_guard lock(mutex_);
  entries_[domain] = {{name, {}}, From::announcement, std::chrono::steady_clock::now()};
}

}  // namespace vmsec::host
