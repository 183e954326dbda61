#include "host/domain_names.hpp"

#include <algorithm>

#include "identity/files.hpp"
#include "vmsec/wire.hpp"

namespace vmsec::host {
namespace {

constexpr std::chrono::seconds kFresh{2};
constexpr std::size_t kMostUnknown = 4096;  // where there are so many, none that the backend has not is added
constexpr std::size_t kLongestFile = 16 << 20;

// The form of the file with the names: the core's own, it crosses nothing.
struct KeptName {
  Uuid domain;
  std::string name;
  std::vector<std::string> tags;
  static constexpr std::string_view kMessage = "vmsec.host.KeptName";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "domain", &KeptName::domain), wire::field(2, "name", &KeptName::name),
                        wire::field(3, "tags", &KeptName::tags));
  }
};

struct KeptNames {
  std::vector<KeptName> names;  // those that were not used for longest first
  static constexpr std::string_view kMessage = "vmsec.host.KeptNames";
  static constexpr auto fields() { return wire::fields(wire::field(1, "names", &KeptNames::names)); }
};

}  // namespace

Result<DomainInfo> DomainNames::ask(const Uuid& domain) const {
  if (domains_ == nullptr) return fail(Code::not_found, "this backend lists no domains");
  return domains_->get(DomainRef{domain});
}

DomainName DomainNames::remember(const Uuid& domain, const Result<DomainInfo>& info) {
  const std::lock_guard lock(mutex_);
  // Whoever makes ids up takes no memory here.
  if (!info && !entries_.contains(domain) && entries_.size() >= kMostUnknown) {
    const auto known = kept_.find(domain);
    return known == kept_.end() ? DomainName() : known->second.name;
  }
  auto [place, fresh] = entries_.try_emplace(domain);
  Entry& entry = place->second;
  entry.asked = std::chrono::steady_clock::now();
  const auto kept = kept_.find(domain);
  if (kept != kept_.end()) kept->second.used = ++uses_;
  if (info) {
    entry.name = {info->name, info->tags};
    entry.from = From::backend;
  } else if (fresh && kept != kept_.end()) {
    entry.name = kept->second.name;
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

Status DomainNames::keep_in(std::filesystem::path file) {
  const std::lock_guard lock(mutex_);
  file_ = std::move(file);
  const auto bytes = identity::read_file(file_, kLongestFile);
  if (!bytes && bytes.error().code == Code::not_found) return {};
  if (!bytes) return fail(bytes.error());
  auto list = wire::decode<KeptNames>(*bytes);
  if (!list) return fail(Code::tampered, "read " + file_.string() + ": " + list.error().message);
  for (auto& each : list->names) kept_[each.domain] = {{std::move(each.name), std::move(each.tags)}, ++uses_};
  return {};
}

Status DomainNames::keep(const Uuid& domain) {
  DomainName name = of(domain);
  const std::lock_guard lock(mutex_);
  if (file_.empty() || name.name.empty()) return {};
  Kept& kept = kept_[domain];
  const bool known = kept.used != 0 && kept.name == name;
  kept = {std::move(name), ++uses_};
  return known ? Status() : write_kept();
}

Status DomainNames::write_kept() {
  std::vector<std::pair<std::uint64_t, Uuid>> order;
  for (const auto& [domain, kept] : kept_) order.emplace_back(kept.used, domain);
  std::ranges::sort(order);
  const std::size_t spare = order.size() > kKept ? order.size() - kKept : 0;
  for (std::size_t i = 0; i < spare; ++i) kept_.erase(order[i].second);
  KeptNames list;
  for (std::size_t i = spare; i < order.size(); ++i) {
    const DomainName& name = kept_[order[i].second].name;
    list.names.push_back({order[i].second, name.name, name.tags});
  }
  return identity::replace_file(file_, wire::encode(list), 0600);
}

}  // namespace vmsec::host
