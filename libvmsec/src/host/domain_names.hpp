// Names and tags by UUID: grants are written by name, calls are made by UUID.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "vmsec/capability/domain_control.hpp"

namespace vmsec::host {

struct DomainName {
  std::string name;
  std::vector<std::string> tags;
};

// Any thread.
class DomainNames {
 public:
  explicit DomainNames(DomainControl* domains) : domains_(domains) {}

  // Asks the backend at most once in two seconds per domain. A domain that the
  // backend has no more keeps its last name: a migration's calls still need it.
  // Never seen: an empty name, which only a pattern for all names matches.
  DomainName of(const Uuid& domain);
  // A domain that is about to arrive.
  void announce(const Uuid& domain, const std::string& name);

 private:
  struct Entry {
    DomainName name;
    std::chrono::steady_clock::time_point asked;
  };

  DomainControl* domains_;
  std::mutex mutex_;
  std::map<Uuid, Entry> entries_;
};

}  // namespace vmsec::host
