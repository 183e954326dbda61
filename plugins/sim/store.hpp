// What this host knows about its domains after a restart.
#pragma once

#include <string>
#include <vector>

#include "machine.hpp"

namespace vmsec::sim {

struct StoredDomain {
  Uuid domain;
  std::string configuration;  // write_domain()
  Limits limits;
  bool held = false;    // belongs to a migration that is not decided: nothing starts it
  bool gone = false;    // it moved away: a file of it in the folder of domains is no reason to have it again
  bool off = false;     // was defined and not started yet: autostart leaves it off
  bool behind = false;  // its post-copy is not over, or broken: its memory was never whole here, or went elsewhere
  static constexpr std::string_view kMessage = "vmsec.sim.StoredDomain";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "domain", &StoredDomain::domain),
                        wire::field(2, "configuration", &StoredDomain::configuration),
                        wire::field(3, "limits", &StoredDomain::limits), wire::field(4, "held", &StoredDomain::held),
                        wire::field(5, "gone", &StoredDomain::gone), wire::field(6, "off", &StoredDomain::off),
                        wire::field(7, "behind", &StoredDomain::behind));
  }
};

// One file a domain, replaced in one step, on the disk before put() answers.
// SimHost calls, under its lock.
class Store {
 public:
  // Empty: nothing is kept. Locks the folder: a second host in it is `wrong_state`.
  static Result<Store> open(const std::string& folder);

  [[nodiscard]] bool durable() const { return !folder_.empty(); }
  [[nodiscard]] Result<std::vector<StoredDomain>> load() const;
  Status put(const StoredDomain& domain);

 private:
  Store(std::string folder, Fd lock) : folder_(std::move(folder)), lock_(std::move(lock)) {}
  [[nodiscard]] std::string path(const Uuid& domain) const { return folder_ + "/" + domain.text() + ".domain"; }
  Status sync_folder() const;

  std::string folder_;
  Fd lock_;
};

// Reads a whole file of at most `most` bytes.
Result<std::string> read_file(const std::string& path, std::size_t most);

}  // namespace vmsec::sim
