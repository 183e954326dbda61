// Names and tags by UUID: grants are written by name, calls are made by UUID.
#pragma once

#include <chrono>
#include <filesystem>
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
  friend bool operator==(const DomainName&, const DomainName&) = default;
};

// The domain that a call is about, as grants see it.
struct About {
  Uuid domain;
  DomainName name;
};

// Any thread.
class VMSEC_EXPORT DomainNames {
 public:
  // How many names outlive a restart; those that were not used for longest go first.
  static constexpr std::size_t kKept = 256;

  explicit DomainNames(DomainControl* domains) : domains_(domains) {}

  // Reads what an earlier process kept, and keeps there from now on. `tampered`
  // where the file is not what was written there.
  Status keep_in(std::filesystem::path file);

  // Asks the backend at most once in two seconds per domain. A domain that the
  // backend has no more keeps its last name: a migration's calls still need it.
  // Never seen: an empty name, which only a pattern for all names matches.
  DomainName of(const Uuid& domain);
  // A domain that is about to arrive, as its caller names it. Holds only as long
  // as the backend has no such domain: nobody renames one that is here.
  void announce(const Uuid& domain, const std::string& name);
  // of() knows its name also when this process was started again and the backend
  // has no such domain. On the disk when it answers.
  Status keep(const Uuid& domain);

 private:
  enum class From { nobody, backend, announcement };
  struct Entry {
    DomainName name;
    From from = From::nobody;
    std::chrono::steady_clock::time_point asked;
  };
  Result<DomainInfo> ask(const Uuid& domain) const;
  DomainName remember(const Uuid& domain, const Result<DomainInfo>& info);
  Status write_kept();

  struct Kept {
    DomainName name;
    std::uint64_t used = 0;  // when, on a clock that counts uses
  };

  DomainControl* domains_;
  std::mutex mutex_;
  std::map<Uuid, Entry> entries_;
  std::filesystem::path file_;  // empty: nothing outlives this process
  std::map<Uuid, Kept> kept_;
  std::uint64_t uses_ = 0;
};

}  // namespace vmsec::host
