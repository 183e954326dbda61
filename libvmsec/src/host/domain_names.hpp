// Names and tags by UUID: grants are written by name, calls are made by UUID.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "vmsec/capability/domain_control.hpp"
#include "vmsec/export.hpp"

namespace vmsec::host {

struct DomainName {
  std::string name;
  std::vector<std::string> tags;
};

// Any thread.
class VMSEC_EXPORT DomainNames {
 public:
  explicit DomainNames(DomainControl* domains) : domains_(domains) {}

  // Asks the backend at most once in two seconds per domain. A domain that the
  // backend has no more keeps its last name: a migration's calls still need it.
  // Never seen: an empty name, which only a pattern for all names matches.
  DomainName of(const Uuid& domain);
  // A domain that is about to arrive, as its caller names it. Holds only as long
  // as the backend has no such domain: nobody renames one that is here.
  void announce(const Uuid& domain, const std::string& name);

 private:
  enum class From { nobody, backend, announcement };
  struct Entry {
    DomainName name;
    From from = From::nobody;
    std::chrono::steady_clock::time_point asked;
  };
  Result<DomainInfo> ask(const Uuid& domain) const;
  DomainName remember(const Uuid& domain, const Result<DomainInfo>& info);

  DomainControl* domains_;
  std::mutex mutex_;
  std::map<Uuid, Entry> entries_;
};

}  // namespace vmsec::host
