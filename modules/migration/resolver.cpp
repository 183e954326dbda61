#include "resolver.hpp"

namespace vmsec::migration {
namespace {

constexpr auto kPatience = std::chrono::seconds(5);
constexpr auto kPause = std::chrono::milliseconds(100);

}  // namespace

EndView Resolver::view_of(const OwnershipRecord& record) {
  const bool live = sessions_.live(record.migration, record.side);
  // The session may have moved the record on meanwhile.
  const auto current = context_.ledger.find(record.migration, record.side);
  return context_.view(record.migration, record.domain, current ? current->phase : record.phase, live);
}

Status Resolver::in_doubt(const OwnershipRecord& record, const std::string& why) const {
  return fail(Code::in_doubt, "resolve migration " + record.migration.text() + ": " + why);
}

Result<EndView> Resolver::ask(const OwnershipRecord& record, const EndView& own, const Line& line) const {
  if (record.side == Side::source)
    return context_.call<EndView>(line.peer.connection, Call::query,
                                  DecisionRequest{record.migration, record.domain, {}}, context_.policy.call_timeout);
  return context_.call<EndView>(line.peer.connection, Call::resolve,
                                ResolveRequest{record.migration, record.domain, own}, context_.policy.call_timeout);
}

// Asks until nobody is at work on it any more, for a short while.
Resolver::Sight Resolver::look(const OwnershipRecord& record, PeerHost host, const Line* line) {
  const auto deadline = Clock::now() + kPatience;
  while (true) {
    const EndView own = view_of(record);
    Sight sight;
    if (line != nullptr) {
      if (auto answer = ask(record, own, *line))
        sight.peer = *answer;
      else
        sight.silence = answer.error().message;
    }
    const Decision decision =
        record.side == Side::source ? decide_source(own, sight.peer, host) : decide_destination(own, sight.peer, host);
    if (decision.action != Action::wait || Clock::now() > deadline) return sight;
    std::this_thread::sleep_for(kPause);
  }
}

// The operator's word that the other host is off: on record before it decides anything, and
// as refused where it is not true.
Status Resolver::hear_word(const OwnershipRecord& record, bool answers) {
  if (answers) {
    VMSEC_CHECK(context_.audit("migration.fenced", Outcome::refused, record.domain, record.peer,
                               "an operator's word: this host is off; but it answers"));
    return in_doubt(record, record.peer + " was declared to be off, but it answers: resolve without --fenced");
  }
  const EndView own = view_of(record);
  const auto decide = record.side == Side::source ? decide_source : decide_destination;
  if (decide(own, {}, PeerHost::fenced) == decide(own, {}, PeerHost::standing)) return {};
  return context_.audit("migration.fenced", Outcome::succeeded, record.domain, record.peer,
                        "an operator's word: this host is off, and stays off");
}

MigrationStatus Resolver::resolve(const OwnershipRecord& stale, const std::string& fenced) {
  const auto own_lock = locks_.of(stale.migration);
  const std::lock_guard lock(*own_lock);
  const OwnershipRecord record = context_.ledger.find(stale.migration, stale.side).value_or(stale);
  auto board = context_.boards.find(record.migration);
  if (!board) board = context_.boards.add(record);
  if (sessions_.live(record.migration, record.side)) return board->status();

  const PeerHost host = !fenced.empty() && fenced == record.peer ? PeerHost::fenced : PeerHost::standing;
  std::optional<Line> line;
  std::string unreachable;
  if (auto connected = context_.services.peers->connect({record.peer}); connected)
    line.emplace(context_, *connected);
  else
    unreachable = connected.error().message;
  Sight sight = look(record, host, line ? &*line : nullptr);
  if (sight.silence.empty()) sight.silence = unreachable;
  const auto& [peer, silence] = sight;
  const auto settle = [&]() -> Status {
    // Whoever takes a connection is not off, whatever ails its module.
    if (host == PeerHost::fenced) VMSEC_CHECK(hear_word(record, peer || line));
    if (record.side == Side::source) return settle_source(record, peer, host, Tell::yes, line ? &*line : nullptr);
    // COMMIT may come meanwhile.
    const auto here = context_.here.of(record.migration);
    const std::lock_guard alone(*here);
    return settle_destination(record, peer, host);
  };
  const Status settled = settle();
  // The source learns what became of its decision while the line is open.
  if (peer && line && record.side == Side::destination) std::ignore = ask(record, view_of(record), *line);

  const OwnershipRecord after = context_.ledger.find(record.migration, record.side).value_or(record);
  board->settle(after);
  if (!let_go_of_lost(after)) context_.log(LogLevel::warning, after.name + " is lost, and is held here still");
  if (!settled && state_of(after.phase) == MigrationState::in_doubt) {
    const std::string cause = settled.error().message + (silence.empty() ? "" : " (" + silence + ")");
    std::ignore = context_.audit("migration.resolve", Outcome::in_doubt, record.domain, record.peer, cause);
    board->end(MigrationState::in_doubt, Error{Code::in_doubt, cause, 0, {}});
  }
  return board->status();
}

Result<std::shared_ptr<Board>> Resolver::recover(const Uuid& migration) {
  const std::string what = "recover migration " + migration.text();
  // Nobody calls it lost meanwhile.
  const auto own_lock = locks_.of(migration);
  const std::lock_guard lock(*own_lock);
  const auto record = context_.ledger.find(migration, Side::source);
  if (!record) {
    const auto incoming = context_.ledger.find(migration, Side::destination);
    if (incoming) return fail(Code::not_found, what + ": it came to this host; recover it at " + incoming->peer);
    return fail(Code::not_found, what + ": it is not on record here");
  }
  const EndView own = view_of(*record);
  if (own.live) return fail(Code::already_exists, what + ": it is under way");
  if (own.phase != Phase::source_committed || own.superseded)
    return fail(Code::wrong_state, what + ": the record here is " + std::string(to_string(own.phase)) +
                                       ": only a post-copy that broke is taken up");
  if (copy_of(own) != Copy::broken)
    return fail(Code::wrong_state, what + ": nothing of a broken post-copy is here; resolve it");
  VMSEC_CHECK(context_.audit("migration.recover", Outcome::unknown, record->domain, record->peer,
                             "migration " + migration.text() + ": asked for"));
  // What the session that broke has left open.
  close_session(*record);
  return sessions_.recover_source(*record);
}

Result<PrepareReply> Resolver::take_up(const PeerContext& from, PrepareRequest request) {
  const auto own_lock = locks_.of(request.migration);
  const std::lock_guard lock(*own_lock);
  return sessions_.start_destination(from, std::move(request));
}

bool Resolver::decide_at_start(const OwnershipRecord& record) {
  const auto own_lock = locks_.of(record.migration);
  const std::lock_guard lock(*own_lock);
  const EndView own = view_of(record);
  const Decision decision = migration::decide_at_start(own);
  if (decision.action == Action::wait) return false;
  if (decision.action != Action::abort) return true;
  const Steps steps = steps_at_start(copy_of(own));
  if (Status written = act(record, steps.front(), decision.reason); !written) {
    context_.log(LogLevel::error, "abort migration " + record.migration.text() + ": " + written.error().message);
    return false;
  }
  if (Status done = take(record, {steps.begin() + 1, steps.end()}, decision.reason, nullptr); !done)
    context_.log(LogLevel::warning, done.error().message);
  const auto after = context_.ledger.find(record.migration, Side::source).value_or(record);
  if (const auto board = context_.boards.find(record.migration)) board->settle(after);
  return true;
}

bool Resolver::let_go_of_lost(const OwnershipRecord& record) {
  if (state_of(record.phase) != MigrationState::lost) return true;
  return context_.ledger.superseded(record.migration, record.side) || unhold(record);
}

bool Resolver::hold_undecided(const OwnershipRecord& record) {
  const auto own_lock = locks_.of(record.migration);
  const std::lock_guard lock(*own_lock);
  const auto here = context_.here.of(record.migration);
  const std::lock_guard alone(*here);
  const auto current = context_.ledger.find(record.migration, record.side);
  if (!current || state_of(current->phase) != MigrationState::in_doubt) return true;
  const auto held = context_.services.migration->hold({record.migration, record.domain});
  if (held || held.error().code == Code::not_found) return true;
  context_.log(LogLevel::error, "hold " + record.domain.text() + ": " + held.error().message);
  return false;
}

}  // namespace vmsec::migration
