#include "resolver.hpp"

namespace vmsec::migration {
namespace {

constexpr auto kPatience = std::chrono::seconds(5);
constexpr auto kPause = std::chrono::milliseconds(100);

}  // namespace

// A connection for one resolve.
struct Resolver::Line {
  Line(const Context& all, PeerContext to) : context(all), peer(std::move(to)) {}
  ~Line() { std::ignore = context.services.peers->close({peer.connection}); }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  const Context& context;
  const PeerContext peer;
};

std::shared_ptr<std::mutex> Resolver::lock_of(const Uuid& migration) {
  const std::lock_guard lock(mutex_);
  std::erase_if(locks_, [](const auto& each) { return each.second.use_count() == 1; });
  auto& found = locks_[migration];
  if (!found) found = std::make_shared<std::mutex>();
  return found;
}

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
Status Resolver::hear_word(const OwnershipRecord& record, const std::optional<EndView>& peer) {
  if (peer) {
    VMSEC_CHECK(context_.audit("migration.fenced", Outcome::refused, record.domain, record.peer,
                               "an operator's word: this host is off; but it answers"));
    return in_doubt(record, record.peer + " was declared to be off, but it answers: resolve without --fenced");
  }
  const EndView own = view_of(record);
  const auto decide = record.side == Side::source ? decide_source : decide_destination;
  if (decide(own, peer, PeerHost::fenced) == decide(own, peer, PeerHost::standing)) return {};
  return context_.audit("migration.fenced", Outcome::succeeded, record.domain, record.peer,
                        "an operator's word: this host is off, and stays off");
}

MigrationStatus Resolver::resolve(const OwnershipRecord& stale, const std::string& fenced) {
  const auto own_lock = lock_of(stale.migration);
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
  const auto settle = [&, &peer = peer]() -> Status {
    if (host == PeerHost::fenced) VMSEC_CHECK(hear_word(record, peer));
    if (record.side == Side::source) return settle_source(record, peer, host, Tell::yes, line ? &*line : nullptr);
    return settle_destination(record, peer, host);
  };
  const Status settled = settle();
  // The source learns what became of its decision while the line is open.
  if (peer && line && record.side == Side::destination) std::ignore = ask(record, view_of(record), *line);

  const OwnershipRecord after = context_.ledger.find(record.migration, record.side).value_or(record);
  board->settle(after);
  if (!settled && state_of(after.phase) == MigrationState::in_doubt) {
    const std::string cause = settled.error().message + (silence.empty() ? "" : " (" + silence + ")");
    std::ignore = context_.audit("migration.resolve", Outcome::in_doubt, record.domain, record.peer, cause);
    board->end(MigrationState::in_doubt, Error{Code::in_doubt, cause, 0, {}});
  }
  return board->status();
}

bool Resolver::decide_at_start(const OwnershipRecord& record) {
  const auto own_lock = lock_of(record.migration);
  const std::lock_guard lock(*own_lock);
  const EndView own = view_of(record);
  const Decision decision = migration::decide_at_start(own);
  if (decision.action == Action::wait) return false;
  if (decision.action != Action::abort) return true;
  Status done =
      context_.ledger.advance(record.migration, Side::source, Phase::source_aborted, decision.reason, Code::cancelled);
  if (!done) {
    context_.log(LogLevel::error, "abort migration " + record.migration.text() + ": " + done.error().message);
    return false;
  }
  // One that is paused waits for an operator, as whatever else is not resolved.
  if (copy_of(own) == Copy::running) done = reclaim(record);
  if (!done) context_.log(LogLevel::warning, done.error().message);
  const auto after = context_.ledger.find(record.migration, Side::source).value_or(record);
  if (const auto board = context_.boards.find(record.migration)) board->settle(after);
  return true;
}

bool Resolver::hold_undecided(const OwnershipRecord& record) {
  const auto own_lock = lock_of(record.migration);
  const std::lock_guard lock(*own_lock);
  const auto current = context_.ledger.find(record.migration, record.side);
  if (!current || state_of(current->phase) != MigrationState::in_doubt) return true;
  const auto held = context_.services.migration->hold({record.migration, record.domain});
  if (held || held.error().code == Code::not_found) return true;
  context_.log(LogLevel::error, "hold " + record.domain.text() + ": " + held.error().message);
  return false;
}

// ---- source -------------------------------------------------------------------

Status Resolver::settle_source(const OwnershipRecord& record, const std::optional<EndView>& peer, PeerHost host,
                               Tell tell, const Line* line) {
  const EndView own = view_of(record);
  const Decision decision =
      tell == Tell::no && peer ? decide_source_for_peer(own, *peer) : decide_source(own, peer, host);
  const Line* told = tell == Tell::yes && peer ? line : nullptr;
  switch (decision.action) {
    case Action::nothing:
      return {};
    case Action::wait:
    case Action::in_doubt:
      return in_doubt(record, decision.reason);
    case Action::lost:
      return context_.ledger.advance(record.migration, Side::source, Phase::source_lost, "LOST: " + decision.reason,
                                     Code::internal);
    case Action::abort:
      VMSEC_CHECK(context_.ledger.advance(record.migration, Side::source, Phase::source_aborted, decision.reason,
                                          Code::cancelled));
      return keep(record, told);
    case Action::reclaim:
    case Action::tell_abort:
      return keep(record, told);
    case Action::close_failed:
      return context_.ledger.advance(record.migration, Side::source, Phase::source_failed, decision.reason);
    case Action::commit:
      VMSEC_CHECK(commit_source(record, decision.reason));
      return tell_commit(record, told);
    case Action::tell_commit:
      return tell_commit(record, told);
    case Action::complete:
      return complete_source(record, decision.reason);
    case Action::activate:
    case Action::discard:
      break;
  }
  return in_doubt(record, "no such action at a source");
}

// A session in doubt could not be closed when its migration ended here; as long as it is there
// the domain cannot move again.
void Resolver::close_session(const OwnershipRecord& record) {
  const auto closed = context_.services.migration->close({record.migration, record.domain});
  if (closed || closed.error().code == Code::not_found) return;
  context_.log(LogLevel::warning, "close migration " + record.migration.text() + ": " + closed.error().message);
}

// ABORT is durable. The destination is told first: what it holds (a lock of a disk) may be
// what keeps the guest from going on here. That it cannot be told keeps nothing from it.
Status Resolver::keep(const OwnershipRecord& record, const Line* line) {
  const Status told = tell_abort(record, line);
  VMSEC_CHECK(reclaim(record));
  if (line == nullptr) return {};
  VMSEC_CHECK(told);
  return context_.ledger.advance(record.migration, Side::source, Phase::source_failed, "the destination has discarded");
}

Status Resolver::reclaim(const OwnershipRecord& record) {
  const auto current = context_.ledger.find(record.migration, Side::source);
  if (current && current->phase == Phase::source_reclaimed) return {};
  const Copy copy = copy_of(view_of(record));
  if (!is_gone(copy)) {
    auto reclaimed = context_.services.migration->reclaim({record.migration, record.domain});
    if (!reclaimed) return fail(reclaimed.error().in("reclaim " + record.name));
  }
  close_session(record);
  return context_.ledger.advance(record.migration, Side::source, Phase::source_reclaimed,
                                 is_gone(copy) ? "the guest had ended here" : "it goes on here");
}

Status Resolver::tell_abort(const OwnershipRecord& record, const Line* line) {
  if (line == nullptr) return {};
  auto told = context_.call<DecisionReply>(
      line->peer.connection, Call::abort,
      DecisionRequest{record.migration, record.domain, "resolved: the source keeps the guest"},
      context_.policy.call_timeout);
  if (!told) return fail(told.error().in("tell " + record.peer + " to discard"));
  return {};
}

Status Resolver::commit_source(const OwnershipRecord& record, const std::string& why) {
  // What is left of our copy goes first: COMMIT says that it can never run.
  auto released = context_.services.migration->release({record.migration, record.domain});
  if (!released && released.error().code != Code::not_found)
    return fail(released.error().in("release what is left of " + record.name));
  close_session(record);
  return context_.ledger.advance(record.migration, Side::source, Phase::source_committed, why);
}

Status Resolver::tell_commit(const OwnershipRecord& record, const Line* line) {
  if (line == nullptr) return {};
  auto told =
      context_.call<DecisionReply>(line->peer.connection, Call::commit,
                                   DecisionRequest{record.migration, record.domain, {}}, context_.policy.call_timeout);
  if (!told) return fail(told.error().in("COMMIT is not acknowledged"));
  return context_.ledger.advance(record.migration, Side::source, Phase::source_done, "acknowledged");
}

Status Resolver::complete_source(const OwnershipRecord& record, const std::string& why) {
  const auto current = context_.ledger.find(record.migration, Side::source);
  if (!current || current->phase != Phase::source_committed) VMSEC_CHECK(commit_source(record, why));
  return context_.ledger.advance(record.migration, Side::source, Phase::source_done, why);
}

// ---- destination ---------------------------------------------------------------

Status Resolver::settle_destination(const OwnershipRecord& record, const std::optional<EndView>& peer, PeerHost host) {
  const Decision decision = decide_destination(view_of(record), peer, host);
  switch (decision.action) {
    case Action::nothing:
      return {};
    case Action::wait:
    case Action::in_doubt:
      return in_doubt(record, decision.reason);
    case Action::commit:
      VMSEC_CHECK(
          context_.ledger.advance(record.migration, Side::destination, Phase::destination_committed, decision.reason));
      return activate(record);
    case Action::activate:
      return activate(record);
    case Action::abort:
      VMSEC_CHECK(context_.ledger.advance(record.migration, Side::destination, Phase::destination_aborted,
                                          decision.reason, Code::cancelled));
      return discard(record);
    case Action::discard:
      return discard(record);
    default:
      return in_doubt(record, "no such action at a destination");
  }
}

Status Resolver::activate(const OwnershipRecord& record) {
  auto activated = context_.services.migration->activate({record.migration, record.domain});
  if (!activated && is_gone(copy_of(view_of(record))))
    return context_.ledger.advance(record.migration, Side::destination, Phase::destination_lost,
                                   "LOST: COMMIT is written, but there is no copy here", Code::internal);
  if (!activated) return fail(activated.error().in("activate " + record.name));
  return context_.ledger.advance(record.migration, Side::destination, Phase::active, "it runs here");
}

Status Resolver::discard(const OwnershipRecord& record) {
  VMSEC_CHECK(discard_copy(context_, {record.migration, record.domain}));
  return context_.ledger.advance(record.migration, Side::destination, Phase::discarded, "nothing is left");
}

}  // namespace vmsec::migration
