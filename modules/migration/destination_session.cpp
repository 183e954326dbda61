// The receiving end's own thread: its hypervisor's events, its gate, its end.
#include "destination.hpp"
#include "vmsec/units.hpp"

namespace vmsec::migration {
namespace {

constexpr auto kRefusalTime = std::chrono::seconds(5);
constexpr int kUnheard = 16;

Error error_of(Code code, std::string message) { return Error{code, std::move(message), 0, {}}; }

}  // namespace

void Destination::run() {
  auto answered = Clock::now();
  bool going = true;
  while (going) {
    auto event = context_.services.migration->next({migration(), domain(), kEventWait});
    if (event) {
      answered = Clock::now();
      going = handle(*event);
    } else if (stopping() || Clock::now() - answered > std::chrono::seconds(5)) {
      context_.log(LogLevel::error, "migration " + migration().text() + ": " + event.error().message);
      break;
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(kEventWait.value));
    }
    if (going) going = look_around();
  }
  end_session();
}

bool Destination::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

bool Destination::handle(const SessionEvent& event) {
  if (event.kind != SessionEventKind::none) last_progress_ = Clock::now();
  switch (event.kind) {
    case SessionEventKind::none:
    case SessionEventKind::channel:
      return true;
    case SessionEventKind::gate:
      pass_gate();
      return true;
    case SessionEventKind::done:
      follows_ ? run_loaded() : await_decision();
      return false;
    case SessionEventKind::failed: {
      if (follows_) return lose(event);
      auto cause = first_cause();
      give_up(cause ? *cause : error_of(Code::unavailable, "the hypervisor gave up: " + event.detail));
      if (gate_passed_or_refused_) let_it_be_heard();
      return false;
    }
    case SessionEventKind::refused: {
      audit_refusal(event);
      const std::lock_guard lock(mutex_);
      if (!cause_) cause_ = error_of(Code::denied, event.detail);
      return true;
    }
    case SessionEventKind::doubt:
      return false;
  }
  return true;
}

void Destination::audit_refusal(const SessionEvent& event) const {
  std::ignore = context_.audit("migration.rpc", Outcome::refused, domain(), from_.peer,
                               "migration " + migration().text() + ": " + event.detail);
}

// A source that asks for what it may not, and hangs up before we look, is on record too.
void Destination::audit_unheard_refusals() const {
  // A hypervisor may say its last word again whenever it is asked.
  for (int left = kUnheard; left > 0; --left) {
    const auto event = context_.services.migration->next({migration(), domain(), {}});
    if (!event || event->kind == SessionEventKind::none) return;
    if (event->kind == SessionEventKind::refused) audit_refusal(*event);
  }
}

std::optional<Error> Destination::first_cause() const {
  const std::lock_guard lock(mutex_);
  if (cause_) return cause_;
  // COMMIT was said: who has said it may be gone and the guest still come.
  const bool comes = commit_heard_ && !recovers();
  if (comes && Clock::now() - committed_ < context_.policy.switch_timeout) return std::nullopt;
  if (disconnected_) return error_of(Code::unavailable, "the source is gone");
  if (stopping_) return error_of(Code::cancelled, "this agent stops");
  // What breaks once all has arrived is only the end of the connection.
  return verified_ ? std::nullopt : streams_.failure();
}

// What may end the session while nothing comes from the hypervisor. Until its
// own gate this end may give up on its own: it cannot hold a whole guest yet.
bool Destination::look_around() {
  const StreamTotals totals = streams_.totals();
  board_->measure(totals, streams_.count());
  if (totals.progress != seen_progress_) {
    seen_progress_ = totals.progress;
    last_progress_ = Clock::now();
  }
  {
    const std::lock_guard lock(mutex_);
    if (decided_) return false;
    // The source's guest stands still from then on: what moves next may take a while.
    last_progress_ = std::max(last_progress_, committed_);
  }
  if (gate_passed_or_refused_) return may_go_on();
  std::optional<Error> cause = first_cause();
  if (!cause && Clock::now() - last_progress_ > context_.policy.stall_timeout)
    cause = error_of(
        Code::timeout,
        "nothing came for " + to_text(Microseconds{static_cast<std::uint64_t>(context_.policy.stall_timeout.count())}));
  if (!cause) return true;
  give_up(*cause);
  return false;
}

// Behind its gate. Memory that follows takes as long as it takes; an agent that stops leaves it some time for that, as
// the guest is lost without it.
bool Destination::may_go_on() {
  const auto now = Clock::now();
  if (now - (follows_ ? std::max(gate_, last_progress_) : gate_) >= context_.policy.switch_timeout) return false;
  if (!stopping()) return true;
  if (!stop_by_) stop_by_ = now + context_.policy.switch_timeout;
  return follows_ && now < *stop_by_;
}

// The manifest, or COMMIT where post-copy has begun. A source that lost its power says neither: its guest stands still
// at both ends while this waits.
Status Destination::wait_for_word() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, context_.policy.switch_timeout,
                    [&] { return verified_ || commit_heard_ || cause_ || decided_ || disconnected_ || stopping_; });
  // Under the same lock as it is said that nothing came: COMMIT is not taken any more.
  if (!cause_ && decided_) cause_ = error_of(Code::cancelled, "the source has aborted");
  if (!cause_ && commit_heard_) return {};
  if (!cause_ && disconnected_) cause_ = error_of(Code::unavailable, "the source is gone");
  if (!cause_ && verified_) return {};
  if (!cause_) cause_ = error_of(Code::timeout, "the source has not said what it sent");
  return fail(*cause_);
}

// A source that was revoked while it sent does not get its guest loaded.
Status Destination::check_source() const {
  auto source = context_.services.peers->check({from_.connection});
  if (!source) return fail(source.error().in("check " + from_.peer + " at the switch-over"));
  if (source->peer_certificate != from_.peer_certificate)
    return fail(Code::unauthenticated, "check " + from_.peer + " at the switch-over: another certificate");
  return {};
}

bool Destination::commits_first() const {
  const std::lock_guard lock(mutex_);
  return announced_;
}

Status Destination::commit_first() {
  const std::lock_guard lock(mutex_);
  if (!announced_ || cause_ || decided_ || finished_)
    return fail(Code::wrong_state, "commit migration " + migration().text() + ": it is not being switched over here");
  if (commit_heard_) return {};
  const Status written = context_.ledger.advance(migration(), Side::destination, Phase::destination_gated,
                                                 "COMMIT from " + from_.peer + ", before its memory is whole here");
  if (written) {
    commit_heard_ = true;
    committed_ = Clock::now();
  } else {
    cause_ = written.error();
  }
  changed_.notify_all();
  return written;
}

// What the hypervisor runs already.
void Destination::run_loaded() {
  Status active;
  if (auto activated = context_.services.migration->activate(session()); !activated)
    active = fail(activated.error().in("activate " + domain().text()));
  if (active) active = context_.ledger.advance(migration(), Side::destination, Phase::active, "it runs here");
  if (!active) context_.log(LogLevel::error, "migration " + migration().text() + ": " + active.error().message);
  std::unique_lock lock(mutex_);
  loaded_ = true;
  changed_.notify_all();
  // The hypervisor's last words are on their way to the source, which says COMMIT again when it has heard them.
  changed_.wait_for(lock, context_.policy.switch_timeout, [&] { return decided_ || disconnected_ || stopping_; });
}

Status Destination::pass_before_commit() {
  VMSEC_CHECK(check_source());
  return context_.ledger.advance(migration(), Side::destination, Phase::destination_gated, "all was received");
}

// Its last chance to give up: whoever has `committed` on record runs the guest.
Status Destination::pass_after_commit() {
  VMSEC_CHECK(context_.ledger.advance(migration(), Side::destination, Phase::destination_committed,
                                      "COMMIT from " + from_.peer));
  follows_ = true;
  return {};
}

void Destination::pass_gate() {
  Status good = wait_for_word();
  if (good) good = commits_first() ? pass_after_commit() : pass_before_commit();
  gate_ = Clock::now();
  gate_passed_or_refused_ = true;
  GateDecision decision{migration(), domain(), good.has_value(), {}, follows_};
  if (!good) {
    decision.reason = good.error().message;
    {
      const std::lock_guard lock(mutex_);
      if (!cause_) cause_ = good.error();
    }
    // On record before the source can hear of it: its ABORT would be the cause otherwise.
    give_up(good.error());
  }
  if (follows_) board_->update([](MigrationStatus& status) { status.state = MigrationState::following; });
  if (auto decided = context_.services.migration->decide(decision); !decided)
    context_.log(LogLevel::warning, "decide migration " + migration().text() + ": " + decided.error().message);
}

// The hypervisor's refusal is still on its way through the streams: a source that
// hears it keeps its guest at once, one that hears nothing is in doubt.
void Destination::let_it_be_heard() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kRefusalTime, [&] { return decided_ || disconnected_ || stopping_; });
}

// Loaded, and paused: what becomes of it is the source's word.
void Destination::await_decision() {
  Status loaded = context_.ledger.advance(migration(), Side::destination, Phase::loaded, "it is whole, and paused");
  if (!loaded) context_.log(LogLevel::error, "migration " + migration().text() + ": " + loaded.error().message);
  std::unique_lock lock(mutex_);
  loaded_ = true;
  changed_.notify_all();
  // Not for ever: a source that lost its power does not hang up. The record stays as
  // it is, and COMMIT is still taken when it comes later.
  changed_.wait_for(lock, context_.policy.switch_timeout, [&] { return decided_ || disconnected_ || stopping_; });
}

// COMMIT is on record, and the hypervisor says that nothing is left of it here: it can go on nowhere.
bool Destination::lose(const SessionEvent& event) {
  const Error cause = first_cause().value_or(error_of(Code::unavailable, "the hypervisor gave up: " + event.detail));
  if (Status written = context_.ledger.advance(migration(), Side::destination, Phase::destination_lost,
                                               "LOST: " + cause.message, cause.code);
      !written)
    context_.log(LogLevel::error, "lose migration " + migration().text() + ": " + written.error().message);
  let_it_be_heard();
  return false;
}

void Destination::give_up(const Error& cause) {
  if (recovers()) {
    std::ignore = context_.audit("migration.recover", Outcome::failed, domain(), from_.peer,
                                 "migration " + migration().text() + ": " + cause.message);
    return;
  }
  // Refused where COMMIT is written: then it is not ours to give up.
  if (Status written = context_.ledger.advance(migration(), Side::destination, Phase::destination_aborted,
                                               cause.message, cause.code);
      !written)
    return context_.log(LogLevel::error, "give up migration " + migration().text() + ": " + written.error().message);
}

void Destination::await_loaded() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, context_.policy.switch_timeout, [&] { return loaded_ || finished_ || stopping_; });
}

void Destination::decided() {
  std::unique_lock lock(mutex_);
  decided_ = true;
  changed_.notify_all();
  changed_.wait_for(lock, context_.policy.call_timeout / 2, [&] { return finished_ || stopping_; });
}

// COMMIT may come meanwhile, by another connection: not between the look and the hold.
void Destination::hold_undecided() {
  const auto here = context_.here.of(migration());
  const std::lock_guard alone(*here);
  const Phase now = phase();
  if (is_final(now) || now == Phase::destination_aborted) return;
  std::ignore = context_.services.migration->hold(session());
  std::ignore =
      context_.audit("migration.doubt", Outcome::in_doubt, domain(), from_.peer,
                     "migration " + migration().text() +
                         (now == Phase::destination_committed ? ": COMMIT is written, and the guest is not whole here"
                                                              : ": the source has not decided"));
}

// Whatever is left here belongs to no migration any more.
void Destination::let_owner_have_it() {
  const auto unheld = context_.services.migration->unhold(session());
  if (!unheld) context_.log(LogLevel::warning, "let go of domain " + domain().text() + ": " + unheld.error().message);
}

void Destination::end_session() {
  streams_.stop();
  board_->measure(streams_.totals(), streams_.count());
  if (phase() == Phase::destination_aborted) {
    std::ignore = context_.services.migration->cancel(session());
    Status gone = discard_copy(context_, session());
    if (gone) gone = context_.ledger.advance(migration(), Side::destination, Phase::discarded, "nothing is left");
    if (!gone) context_.log(LogLevel::error, "migration " + migration().text() + ": " + gone.error().message);
  } else {
    hold_undecided();
  }
  audit_unheard_refusals();
  std::ignore = context_.services.migration->close(session());
  if (phase() == Phase::destination_lost) let_owner_have_it();
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
    changed_.notify_all();
  }
  if (const auto record = context_.ledger.find(migration(), Side::destination)) board_->settle(*record);
}

}  // namespace vmsec::migration
