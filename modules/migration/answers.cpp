// What each end answers when the other asks: of Resolver.
#include "resolver.hpp"

namespace vmsec::migration {

// A record is nobody's business but the two hosts'.
Result<OwnershipRecord> Resolver::record_of(const PeerContext& from, const Uuid& migration, const Uuid& domain,
                                            Side side) const {
  auto record = context_.ledger.find(migration, side);
  if (!record || record->peer != from.peer || record->domain != domain)
    return fail(Code::not_found, "migration " + migration.text() + " with " + from.peer + " is not on record here");
  return *record;
}

Result<DecisionReply> Resolver::commit(const PeerContext& from, const DecisionRequest& request) {
  VMSEC_TRY(OwnershipRecord record, record_of(from, request.migration, request.domain, Side::destination));
  const auto session = sessions_.destination(request.migration);
  const bool first = session && session->commits_first() && !session->finished();
  if (first && record.phase == Phase::prepared) {
    VMSEC_CHECK(session->commit_first());
    return DecisionReply{Phase::destination_gated, session->cpu(), {}};
  }
  if (first || (session && record.phase == Phase::destination_gated)) session->await_loaded();
  const auto here = context_.here.of(request.migration);
  std::unique_lock alone(*here);
  const EndView own = view_of(record);
  // What a session has not loaded yet is not whole, whatever the hypervisor says of it.
  const bool follows = first && !session->finished() && own.phase != Phase::active;
  if (follows || !takes_commit(own))
    return fail(Code::wrong_state, "commit migration " + request.migration.text() + ": the record here is " +
                                       std::string(to_string(own.phase)));
  const Status taken = take(record, steps_of_commit(own.phase), "COMMIT from " + from.peer, nullptr);
  alone.unlock();
  record = context_.ledger.find(request.migration, Side::destination).value_or(record);
  if (session && (first || record.phase != own.phase)) session->decided();
  VMSEC_CHECK(taken);
  if (const auto board = context_.boards.find(request.migration)) board->settle(record);
  if (record.phase != Phase::active)
    return fail(Code::internal, "commit migration " + request.migration.text() + ": " + record.cause);
  return DecisionReply{record.phase, session ? session->cpu() : Microseconds{}, {}};
}

Result<DecisionReply> Resolver::abort(const PeerContext& from, const DecisionRequest& request) {
  const auto found = record_of(from, request.migration, request.domain, Side::destination);
  if (!found) return DecisionReply{};  // nothing is here: as it should be
  const OwnershipRecord& before = *found;
  const Steps steps = steps_of_abort(before.phase);
  const std::string why = "ABORT from " + from.peer + ": " + request.reason.substr(0, kMaximumReason);
  const auto here = context_.here.of(request.migration);
  {
    const std::lock_guard alone(*here);
    if (!steps.empty()) VMSEC_CHECK(act(before, steps.front(), why));
  }
  if (const auto session = sessions_.destination(request.migration)) session->decided();
  OwnershipRecord after = context_.ledger.find(request.migration, Side::destination).value_or(before);
  if (after.phase == Phase::destination_aborted) {
    const std::lock_guard alone(*here);
    VMSEC_CHECK(take(before, {steps.begin() + 1, steps.end()}, why, nullptr));
  }
  after = context_.ledger.find(request.migration, Side::destination).value_or(after);
  if (const auto board = context_.boards.find(request.migration)) board->settle(after);
  return DecisionReply{after.phase, {}, before.cause};
}

Result<EndView> Resolver::query(const PeerContext& from, const DecisionRequest& request) {
  const auto record = record_of(from, request.migration, request.domain, Side::destination);
  if (!record) return EndView{};
  return view_of(*record);
}

Result<EndView> Resolver::resolve_for(const PeerContext& from, const ResolveRequest& request) {
  const auto found = record_of(from, request.migration, request.domain, Side::source);
  // A host that the record does not name learns nothing of what is here.
  if (!found) return EndView{};
  const auto own_lock = locks_.of(request.migration);
  const std::lock_guard lock(*own_lock);
  const OwnershipRecord record = context_.ledger.find(request.migration, Side::source).value_or(*found);
  if (!sessions_.live(request.migration, Side::source)) {
    if (Status settled = settle_source(record, request.destination, PeerHost::standing, Tell::no, nullptr); !settled)
      context_.log(LogLevel::warning, settled.error().message);
    const auto after = context_.ledger.find(request.migration, Side::source).value_or(record);
    if (const auto board = context_.boards.find(request.migration)) board->settle(after);
  }
  return view_of(record);
}

}  // namespace vmsec::migration
