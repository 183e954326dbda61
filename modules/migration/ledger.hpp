// The durable records, and the one way to change them.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "ownership.hpp"
#include "vmsec/service/journal.hpp"
#include "vmsec/service/records.hpp"

namespace vmsec::migration {

// Any thread.
class Ledger {
 public:
  // Finished records beyond this many are forgotten, oldest first.
  static constexpr std::size_t kFinishedKept = 100;

  Ledger(Records& records, Journal& journal) : records_(records), journal_(journal) {}

  // Reads what is on the disk. A record that does not decode is an error: it may
  // be the only word on who owns a guest.
  Status load();

  // The first record of a migration here. Its epoch is above that of every other of its domain. `already_exists`.
  Status begin(OwnershipRecord record);
  // Moves it to a phase: audited, then durable, then visible. `wrong_state` for
  // a step that ownership.hpp does not allow; nothing for the phase that it has.
  Status advance(const Uuid& migration, Side side, Phase to, std::string_view why, Code code = Code::ok);

  [[nodiscard]] std::optional<OwnershipRecord> find(const Uuid& migration, Side side) const;
  // Whether another migration of its domain began here after it.
  [[nodiscard]] bool superseded(const Uuid& migration, Side side) const;
  [[nodiscard]] std::vector<OwnershipRecord> all() const;  // oldest first
  // Whether an unfinished migration of this domain is on record, either way.
  [[nodiscard]] std::optional<OwnershipRecord> unfinished(const Uuid& domain) const;

 private:
  [[nodiscard]] bool has_later(const OwnershipRecord& record) const;  // under the lock
  Status write(const OwnershipRecord& record, std::string_view why);
  [[nodiscard]] bool keeps_lost(const OwnershipRecord& record) const;
  void forget_oldest();

  Records& records_;
  Journal& journal_;
  mutable std::mutex mutex_;
  std::map<std::string, OwnershipRecord> by_key_;
};

}  // namespace vmsec::migration
