#include "sessions.hpp"

namespace vmsec::migration {

Status Sessions::check_free(const Uuid& domain) const {
  const auto busy = [&](const Uuid& migration) {
    return fail(Code::already_exists,
                "migrate " + domain.text() + ": migration " + migration.text() + " of it is not over yet");
  };
  for (const auto& [id, session] : sources_)
    if (session->domain() == domain) return busy(id);
  for (const auto& [id, session] : destinations_)
    if (session->domain() == domain) return busy(id);
  if (const auto record = context_.ledger.unfinished(domain)) return busy(record->migration);
  return {};
}

// Under the lock. Their threads have ended, so that this does not wait.
void Sessions::reap() {
  std::erase_if(sources_, [](const auto& each) { return each.second->finished(); });
  std::erase_if(destinations_, [](const auto& each) { return each.second->finished(); });
}

Result<std::shared_ptr<Board>> Sessions::start_source(MigrateRequest request) {
  const std::lock_guard lock(mutex_);
  reap();
  VMSEC_CHECK(check_free(request.domain));
  VMSEC_TRY(std::shared_ptr<Source> source, Source::start(context_, std::move(request)));
  auto board = source->board();
  sources_[source->migration()] = std::move(source);
  return board;
}

// Under the lock.
Status Sessions::check_place(const PrepareRequest& request) const {
  const Uuid& id = request.migration;
  VMSEC_CHECK(check_free(request.description.domain));
  if (destinations_.contains(id) || context_.ledger.find(id, Side::destination))
    return fail(Code::already_exists, "migration " + id.text() + " is known here already");
  return check_room(id);
}

// Under the lock.
Status Sessions::check_room(const Uuid& migration) const {
  if (destinations_.size() < context_.policy.max_incoming) return {};
  return fail(Code::limit_exceeded, "accept migration " + migration.text() + ": " +
                                        std::to_string(context_.policy.max_incoming) + " are under way already");
}

// Under the lock. The record is what a ticket is elsewhere: COMMIT of this very source, and no end.
Status Sessions::check_broken(const PeerContext& from, const PrepareRequest& request) const {
  const std::string what = "take up migration " + request.migration.text();
  const auto record = context_.ledger.find(request.migration, Side::destination);
  if (!record || record->peer != from.peer || record->domain != request.description.domain)
    return fail(Code::not_found, what + ": with " + from.peer + " it is not on record here");
  if (record->phase != Phase::destination_committed || context_.ledger.superseded(record->migration, record->side))
    return fail(Code::wrong_state, what + ": the record here is " + std::string(to_string(record->phase)));
  if (record->algorithm != request.cipher)
    return fail(Code::denied, what + ": cipher " + std::string(to_string(request.cipher)) + ": it began with " +
                                  std::string(to_string(record->algorithm)));
  if (destinations_.contains(request.migration)) return fail(Code::already_exists, what + ": it is under way here");
  return check_room(request.migration);
}

Sessions::Incoming Sessions::admit_again(const PeerContext& from, PrepareRequest request) {
  const std::lock_guard lock(mutex_);
  reap();
  VMSEC_CHECK(check_broken(from, request));
  const Uuid id = request.migration;
  auto session = std::make_shared<Destination>(context_, from, std::move(request));
  destinations_[id] = session;
  return session;
}

// Whoever has no ticket takes no place, however briefly: neither one of max_incoming nor
// the domain's. The place is looked for once before, as well: what is refused for want
// of it costs no ticket here.
Sessions::Incoming Sessions::admit(const PeerContext& from, PrepareRequest request) {
  VMSEC_CHECK(check_prepare(context_.policy, from, request));
  if (request.options.recover) return admit_again(from, std::move(request));
  {
    const std::lock_guard lock(mutex_);
    reap();
    VMSEC_CHECK(check_place(request));
  }
  VMSEC_CHECK(spend_ticket(context_, from, request));
  const std::lock_guard lock(mutex_);
  reap();
  VMSEC_CHECK(check_place(request));
  const Uuid id = request.migration;
  auto session = std::make_shared<Destination>(context_, from, std::move(request));
  destinations_[id] = session;
  return session;
}

Result<std::shared_ptr<Board>> Sessions::recover_source(const OwnershipRecord& record) {
  const std::lock_guard lock(mutex_);
  reap();
  if (sources_.contains(record.migration))
    return fail(Code::already_exists, "migration " + record.migration.text() + " is under way");
  VMSEC_TRY(std::shared_ptr<Source> source, Source::recover(context_, record));
  auto board = source->board();
  sources_[record.migration] = std::move(source);
  return board;
}

Result<PrepareReply> Sessions::start_destination(const PeerContext& from, PrepareRequest request) {
  const Uuid id = request.migration;
  const Uuid domain = request.description.domain;
  const auto session = admit(from, std::move(request));
  if (!session) {
    std::ignore = context_.audit("migration.accept", Outcome::refused, domain, from.peer,
                                 "migration " + id.text() + ": " + session.error().message);
    return fail(session.error());
  }
  // Outside of the lock: the hypervisor may take its time.
  return (*session)->prepare();
}

std::shared_ptr<Source> Sessions::source(const Uuid& migration) {
  const std::lock_guard lock(mutex_);
  reap();
  const auto found = sources_.find(migration);
  return found == sources_.end() ? nullptr : found->second;
}

std::shared_ptr<Source> Sessions::source_of(const Uuid& domain) {
  const std::lock_guard lock(mutex_);
  reap();
  for (const auto& [id, source] : sources_)
    if (source->domain() == domain) return source;
  return nullptr;
}

std::shared_ptr<Destination> Sessions::destination(const Uuid& migration) {
  const std::lock_guard lock(mutex_);
  reap();
  const auto found = destinations_.find(migration);
  return found == destinations_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<Destination>> Sessions::destinations() {
  const std::lock_guard lock(mutex_);
  reap();
  std::vector<std::shared_ptr<Destination>> out;
  for (const auto& [id, session] : destinations_) out.push_back(session);
  return out;
}

bool Sessions::live(const Uuid& migration, Side side) {
  return side == Side::source ? source(migration) != nullptr : destination(migration) != nullptr;
}

}  // namespace vmsec::migration
