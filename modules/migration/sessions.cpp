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

Result<PrepareReply> Sessions::start_destination(const PeerContext& from, PrepareRequest request) {
  std::shared_ptr<Destination> session;
  {
    const std::lock_guard lock(mutex_);
    reap();
    const Uuid id = request.migration;
    Status good = check_free(request.description.domain);
    if (good && (destinations_.contains(id) || context_.ledger.find(id, Side::destination)))
      good = fail(Code::already_exists, "migration " + id.text() + " is known here already");
    if (good && destinations_.size() >= context_.policy.max_incoming)
      good = fail(Code::limit_exceeded, "accept migration " + id.text() + ": " +
                                            std::to_string(context_.policy.max_incoming) + " are under way already");
    if (!good) {
      std::ignore = context_.audit("migration.accept", Outcome::refused, request.description.domain, from.peer,
                                   good.error().message);
      return fail(good.error());
    }
    session = std::make_shared<Destination>(context_, from, std::move(request));
    destinations_[id] = session;
  }
  // Outside of the lock: the hypervisor may take its time.
  return session->prepare();
}

std::shared_ptr<Source> Sessions::source(const Uuid& migration) {
  const std::lock_guard lock(mutex_);
  reap();
  const auto found = sources_.find(migration);
  return found == sources_.end() ? nullptr : found->second;
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
