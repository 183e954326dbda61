// The migrations that a module has begun: they end also when what began them was taken back.
#pragma once

#include <map>
#include <mutex>

#include "vmsec/export.hpp"
#include "vmsec/types.hpp"

namespace vmsec::host {

// By domain: a backend has one session of each. Forgotten with the process: after
// a restart, what is in doubt stays so until the operator gives the grant back.
// Any thread.
class VMSEC_EXPORT BegunMigrations {
 public:
  // A call of vmsec.Migration on this domain succeeded.
  void note(std::uint32_t method, const Uuid& domain);
  // Whether the call belongs to a migration of this domain that was begun and has
  // not ended. Never for one that begins another.
  [[nodiscard]] bool goes_on(std::uint32_t method, const Uuid& domain);

 private:
  enum class Stage { open, settled };  // settled: only what frees the session is left
  std::mutex mutex_;
  std::map<Uuid, Stage> stages_;
};

}  // namespace vmsec::host
