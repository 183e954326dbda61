#include "ledger.hpp"

#include <algorithm>
#include <chrono>

namespace vmsec::migration {
namespace {

UnixSeconds now() {
  return {static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count())};
}

std::string key_of(const Uuid& migration, Side side) {
  return (side == Side::source ? "source-" : "destination-") + migration.text();
}

struct AuditName {
  std::string_view action;
  Outcome outcome;
};

AuditName audit_name(Phase phase) {
  using enum Phase;
  switch (phase) {
    case started:
      return {"migration.start", Outcome::succeeded};
    case source_gated:
      return {"migration.switch", Outcome::succeeded};
    case source_committed:
    case destination_committed:
      return {"migration.commit", Outcome::succeeded};
    case source_done:
      return {"migration.complete", Outcome::succeeded};
    case source_aborted:
    case destination_aborted:
      return {"migration.abort", Outcome::failed};
    case source_reclaimed:
      return {"migration.reclaim", Outcome::failed};
    case source_failed:
      return {"migration.close", Outcome::failed};
    case source_lost:
    case destination_lost:
      return {"migration.lost", Outcome::failed};
    case prepared:
      return {"migration.accept", Outcome::succeeded};
    case destination_gated:
      return {"migration.load", Outcome::succeeded};
    case loaded:
      return {"migration.loaded", Outcome::succeeded};
    case active:
      return {"migration.activated", Outcome::succeeded};
    case discarded:
      return {"migration.discarded", Outcome::failed};
    case none:
      break;
  }
  return {"migration.unknown", Outcome::unknown};
}

}  // namespace

Status Ledger::load() {
  VMSEC_TRY(RecordList list, records_.list({}));
  const std::lock_guard lock(mutex_);
  for (const Record& entry : list.records) {
    auto record = wire::decode<OwnershipRecord>(entry.value);
    if (!record) return fail(record.error().in("read migration record " + entry.key));
    if (side_of(record->phase) != record->side || key_of(record->migration, record->side) != entry.key)
      return fail(Code::tampered, "read migration record " + entry.key + ": it is another migration's, or nonsense");
    by_key_[entry.key] = std::move(*record);
  }
  return {};
}

Status Ledger::write(const OwnershipRecord& record, std::string_view why) {
  const AuditName name = audit_name(record.phase);
  std::string detail = "migration " + record.migration.text();
  if (!why.empty()) detail += ": " + std::string(why);
  // Whoever gave up for a reason of security has refused.
  const bool refused = name.outcome == Outcome::failed && family(record.code) == Family::security;
  const Outcome outcome = refused ? Outcome::refused : name.outcome;
  if (auto audited = journal_.audit({std::string(name.action), outcome, record.domain, record.peer, detail}); !audited)
    return fail(audited.error().in("audit " + std::string(name.action)));
  const std::string key = key_of(record.migration, record.side);
  if (auto written = records_.put({key, wire::encode(record)}); !written)
    return fail(written.error().in("write record " + key + ", phase " + std::string(to_string(record.phase))));
  by_key_[key] = record;
  return {};
}

Status Ledger::begin(OwnershipRecord record) {
  const std::lock_guard lock(mutex_);
  if (by_key_.contains(key_of(record.migration, record.side)))
    return fail(Code::already_exists, "begin migration " + record.migration.text() + ": it is on record already");
  if (side_of(record.phase) != record.side || !may_follow(Phase::none, record.phase))
    return fail(Code::internal, "begin migration " + record.migration.text() + ": not a first phase");
  for (const auto& [key, other] : by_key_)
    if (other.domain == record.domain) record.epoch = std::max(record.epoch, other.epoch + 1);
  record.started = record.changed = now();
  std::string why = record.side == Side::source ? "to " + record.peer : "from " + record.peer;
  if (!record.cipher.empty()) why += ", " + record.cipher;
  VMSEC_CHECK(write(record, why));
  forget_oldest();
  return {};
}

Status Ledger::advance(const Uuid& migration, Side side, Phase to, std::string_view why, Code code) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key_of(migration, side));
  if (found == by_key_.end()) return fail(Code::not_found, "migration " + migration.text() + " is not on record here");
  OwnershipRecord record = found->second;
  if (record.phase == to) return {};
  if (side_of(to) != side || !may_follow(record.phase, to))
    return fail(Code::wrong_state, "migration " + migration.text() + " is " + std::string(to_string(record.phase)) +
                                       " here: it cannot become " + std::string(to_string(to)));
  // The one final record that may still go on: not once the guest, started anew, has moved on.
  if (record.phase == Phase::source_lost && has_later(record))
    return fail(Code::wrong_state, "migration " + migration.text() + ": a later one of the domain is on record here");
  record.phase = to;
  record.changed = now();
  if (code != Code::ok && record.code == Code::ok) {
    record.code = code;
    record.cause = std::string(why.substr(0, 4096));
  }
  return write(record, why);
}

std::optional<OwnershipRecord> Ledger::find(const Uuid& migration, Side side) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key_of(migration, side));
  if (found == by_key_.end()) return std::nullopt;
  return found->second;
}

bool Ledger::superseded(const Uuid& migration, Side side) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key_of(migration, side));
  if (found == by_key_.end()) return false;
  return has_later(found->second);
}

bool Ledger::has_later(const OwnershipRecord& record) const {
  return std::ranges::any_of(by_key_, [&](const auto& each) {
    return each.second.domain == record.domain && each.second.epoch > record.epoch;
  });
}

std::vector<OwnershipRecord> Ledger::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<OwnershipRecord> out;
  for (const auto& [key, record] : by_key_) out.push_back(record);
  std::ranges::stable_sort(out, {}, [](const OwnershipRecord& each) { return each.started.value; });
  return out;
}

std::optional<OwnershipRecord> Ledger::unfinished(const Uuid& domain) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, record] : by_key_) {
    if (record.domain == domain && blocks_another(record.phase)) return record;
  }
  return std::nullopt;
}

// A lost one stays: a destination that comes back may still ask for it. So do those that are later than it: they say
// that the guest has moved on.
bool Ledger::keeps_lost(const OwnershipRecord& record) const {
  return std::ranges::any_of(by_key_, [&](const auto& each) {
    return each.second.domain == record.domain && each.second.phase == Phase::source_lost;
  });
}

void Ledger::forget_oldest() {
  while (true) {
    std::size_t finished = 0;
    auto oldest = by_key_.end();
    for (auto each = by_key_.begin(); each != by_key_.end(); ++each) {
      if (!is_final(each->second.phase) || keeps_lost(each->second)) continue;
      ++finished;
      if (oldest == by_key_.end() || each->second.changed < oldest->second.changed) oldest = each;
    }
    if (finished <= kFinishedKept || !records_.remove({oldest->first})) return;
    by_key_.erase(oldest);
  }
}

}  // namespace vmsec::migration
