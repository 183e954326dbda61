// The source at its gate and after it: who runs the guest is decided here.
#include "source.hpp"

namespace vmsec::migration {
namespace {

// What is written seldom was sent by then, and need not be fetched.
constexpr std::uint32_t kPassesBeforePostCopy = 2;

}  // namespace

Status release_copy(const Context& context, const SessionRef& session) {
  auto released = context.services.migration->release(session);
  if (released || released.error().code == Code::not_found) return {};
  return fail(released.error().in("release what is left of domain " + session.domain.text()));
}

bool Source::wants_post_copy() const {
  return options_.hypervisor.post_copy && !announced_ && passes_ >= kPassesBeforePostCopy;
}

// All that may be refused is refused before: from its begin on a guest that is held up is one that may be lost.
void Source::begin_post_copy() {
  announced_ = true;
  gate_ = Clock::now();
  Status begun = announce_post_copy();
  // A destination that has given up hangs up.
  if (const auto broken = streams_.failure(); begun && broken) begun = fail(*broken);
  if (begun) {
    // The guest waits for what follows, page by page: nothing of it waits for the limit on the rest.
    lift_limit();
    auto started = context_.services.migration->start_post_copy(session());
    post_copy_ = started.has_value();
    // A guest that has come to its end meanwhile is at its gate by now, with all of its memory sent.
    if (!started && started.error().code != Code::wrong_state) begun = fail(started.error());
  }
  deadline_ = Clock::now() + context_.policy.switch_timeout;
  if (begun) return;
  stage_ = Stage::cancellable;
  cancel(begun.error());
}

Status Source::announce_post_copy() {
  VMSEC_TRY(std::ignore, context_.call<Empty>(peer_.connection, Call::switch_over, SwitchRequest{migration_, {}, true},
                                              context_.policy.call_timeout));
  VMSEC_CHECK(check_destination());
  return hand_over();
}

void Source::pass_gate() {
  if (!post_copy_) gate_ = Clock::now();
  if (!recovers()) board_->update([](MigrationStatus& status) { status.state = MigrationState::switching; });
  Status checked = cause_ ? Status(fail(*cause_)) : Status();
  // Of what is taken up all is decided.
  if (checked && !recovers()) checked = post_copy_ ? commit_first() : check_gate();
  deadline_ = Clock::now() + context_.policy.switch_timeout;
  GateDecision decision{migration_, request_.domain, checked.has_value(), {}};
  if (!checked) {
    stage_ = Stage::cancellable;
    if (!cause_) cause_ = checked.error();
    decision.reason = checked.error().message;
    std::ignore = context_.audit("migration.switch", Outcome::refused, request_.domain, peer_.peer,
                                 "migration " + migration_.text() + ": " + decision.reason);
  }
  // An answer that got lost does not matter: the session's next events tell.
  if (auto decided = context_.services.migration->decide(decision); !decided)
    context_.log(LogLevel::warning, "decide migration " + migration_.text() + ": " + decided.error().message);
  // Post-copy's guest runs there about now.
  downtime_ = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - gate_);
}

// Whoever runs a guest that is not whole yet does so on our word, and from then on we never do.
Status Source::commit_first() {
  VMSEC_CHECK(context_.ledger.advance(migration_, Side::source, Phase::source_committed,
                                      "the destination may run it before its memory is whole there"));
  auto reply = context_.call<DecisionReply>(
      peer_.connection, Call::commit, DecisionRequest{migration_, request_.domain, {}}, context_.policy.switch_timeout);
  // It may have been heard. A destination that has not refuses to load, and says so.
  if (!reply) context_.log(LogLevel::warning, "COMMIT is not acknowledged: " + reply.error().message);
  board_->update([](MigrationStatus& status) { status.state = MigrationState::following; });
  return {};
}

Status Source::check_gate() {
  // The guest stands still: what is left in the sockets' buffers does not wait for the limit on the rest.
  lift_limit();
  VMSEC_TRY(std::vector<FlushPoint> manifest, streams_.flush(gate_ + context_.policy.switch_timeout));
  VMSEC_TRY(std::ignore, context_.call<Empty>(peer_.connection, Call::switch_over,
                                              SwitchRequest{migration_, std::move(manifest), false},
                                              context_.policy.switch_timeout));
  VMSEC_CHECK(check_destination());
  return hand_over();
}

Status Source::check_destination() {
  VMSEC_CHECK(evidence_->hear());
  VMSEC_CHECK(evidence_->fresh());
  auto peer = context_.services.peers->check({peer_.connection});
  if (!peer) return fail(peer.error().in("check " + peer_.peer + " at the switch-over"));
  if (peer->peer_certificate != peer_.peer_certificate)
    return fail(Code::unauthenticated, "check " + peer_.peer + " at the switch-over: another certificate");
  return {};
}

Status Source::hand_over() {
  // From here on abort() answers that it is too late; whoever was earlier is heard.
  stage_ = Stage::proceeding;
  if (abort_requested_ || stopping_) return fail(Code::cancelled, "aborted on request");
  return context_.ledger.advance(migration_, Side::source, Phase::source_gated,
                                 announced_ ? "post-copy begins" : "all was sent and checked");
}

void Source::commit() {
  if (Status written =
          context_.ledger.advance(migration_, Side::source, Phase::source_committed, "the copy here can never run");
      !written)
    return end_in_doubt(written.error());
  auto reply = context_.call<DecisionReply>(
      peer_.connection, Call::commit, DecisionRequest{migration_, request_.domain, {}}, context_.policy.switch_timeout);
  if (!reply) return end_in_doubt(reply.error().in("COMMIT is not acknowledged"));
  if (reply->phase != Phase::active)
    return end_in_doubt(Error{Code::in_doubt, "COMMIT is acknowledged, and the guest does not run there yet", 0, {}});
  if (!post_copy_) downtime_ = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - gate_);
  // The guest runs there by now. What the hypervisor here still does with its copy may take seconds.
  if (Status gone = let_go(); !gone)
    return end_in_doubt(gone.error().in("COMMIT is acknowledged, and something of the guest is left here"));
  // COMMIT stands even if this cannot be written: resolving then asks the destination.
  if (Status done = context_.ledger.advance(migration_, Side::source, Phase::source_done, "acknowledged"); !done)
    context_.log(LogLevel::warning, "close migration " + migration_.text() + ": " + done.error().message);
  board_->update([&](MigrationStatus& status) {
    if (!recovers()) status.downtime = {static_cast<std::uint64_t>(downtime_.count())};
    status.peer_cpu = reply->cpu;
    status.attested = evidence_->text();
  });
  end_session(MigrationState::completed, {});
}

Status Source::let_go() {
  if (std::exchange(session_open_, false))
    if (auto closed = context_.services.migration->close(session()); !closed) return fail(closed.error());
  return release_copy(context_, session());
}

void Source::tell_abort(const Error& cause) {
  auto told = context_.call<DecisionReply>(
      peer_.connection, Call::abort,
      DecisionRequest{migration_, request_.domain, cause.message.substr(0, kMaximumReason)},
      context_.policy.call_timeout);
  if (!told) return context_.log(LogLevel::warning, "tell " + peer_.peer + " to discard: " + told.error().message);
  // What looked like a cut connection here may have a better name there.
  if (cause_ && cause_->code == Code::unavailable && !told->cause.empty())
    cause_->message += " (" + peer_.peer + " says: " + told->cause.substr(0, kMaximumReason) + ")";
  if (Status closed =
          context_.ledger.advance(migration_, Side::source, Phase::source_failed, "both ends have given up");
      !closed)
    context_.log(LogLevel::warning, "close migration " + migration_.text() + ": " + closed.error().message);
}

// The guest goes on here: without COMMIT it never runs there.
void Source::end_failed(const Error& cause) {
  if (!cause_) cause_ = cause;
  const auto record = context_.ledger.find(migration_, Side::source);
  if (record) {
    if (record->phase == Phase::source_committed) {
      const std::string what =
          recovers() ? "its post-copy is broken still: " : "COMMIT is written, and it is not loaded: ";
      return end_in_doubt(Error{Code::in_doubt, what + cause_->message, 0, {}});
    }
    const Decision decision = decide_failed(context_.view(migration_, request_.domain, record->phase, false));
    if (decision.action == Action::in_doubt)
      return end_in_doubt(Error{Code::in_doubt, cause_->message + "; " + decision.reason, 0, {}});
  }
  if (recorded_) {
    if (Status written =
            context_.ledger.advance(migration_, Side::source, Phase::source_reclaimed, cause_->message, cause_->code);
        !written)
      context_.log(LogLevel::error,
                   "record the end of migration " + migration_.text() + ": " + written.error().message);
    else if (asked_)
      tell_abort(*cause_);
    else
      std::ignore = context_.ledger.advance(migration_, Side::source, Phase::source_failed, "nobody was asked");
  } else {
    std::ignore = context_.audit(
        "migration.start", family(cause_->code) == Family::environment ? Outcome::failed : Outcome::refused,
        request_.domain, request_.destination, "migration " + migration_.text() + ": " + cause_->message);
  }
  end_session(MigrationState::failed, cause_);
}

void Source::end_in_doubt(const Error& cause) {
  std::ignore = context_.audit("migration.doubt", Outcome::in_doubt, request_.domain, peer_.peer,
                               "migration " + migration_.text() + ": " + cause.message);
  const auto record = context_.ledger.find(migration_, Side::source);
  // Before its gate a guest cannot have left: whatever ails, it is not withheld from its owner.
  if (record && record->phase != Phase::started) std::ignore = context_.services.migration->hold(session());
  end_session(MigrationState::in_doubt, Error{Code::in_doubt, cause.message, cause.native, cause.native_source});
}

// The hypervisor's own word.
void Source::end_doubtful(const std::string& detail) {
  std::string why = recovers() ? "its post-copy is broken still: " : "the hypervisor cannot tell who has the guest: ";
  why += detail;
  if (cause_) why = cause_->message + "; " + why;
  end_in_doubt(Error{Code::in_doubt, std::move(why), 0, {}});
}

void Source::end_session(MigrationState state, const std::optional<Error>& cause) {
  if (evidence_) evidence_->stop();
  streams_.stop();
  board_->measure(streams_.totals(), streams_.count());
  if (std::exchange(session_open_, false)) std::ignore = context_.services.migration->close(session());
  if (std::exchange(connected_, false)) std::ignore = context_.services.peers->close({peer_.connection});
  finished_ = true;  // before anybody learns of it: resolving may follow at once
  board_->end(state, cause);
}

}  // namespace vmsec::migration
