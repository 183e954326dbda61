// The source at its gate and after it: who runs the guest is decided here.
#include "source.hpp"

namespace vmsec::migration {

Status release_copy(const Context& context, const SessionRef& session) {
  auto released = context.services.migration->release(session);
  if (released || released.error().code == Code::not_found) return {};
  return fail(released.error().in("release what is left of domain " + session.domain.text()));
}

void Source::pass_gate() {
  gate_ = Clock::now();
  board_->update([](MigrationStatus& status) { status.state = MigrationState::switching; });
  const Status checked = cause_ ? Status(fail(*cause_)) : check_gate();
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
}

Status Source::check_gate() {
  // The guest stands still: what is left in the sockets' buffers does not wait for the limit on the rest.
  streams_.limit(kUnlimitedBandwidth);
  VMSEC_TRY(std::vector<FlushPoint> manifest, streams_.flush(gate_ + context_.policy.switch_timeout));
  VMSEC_TRY(std::ignore,
            context_.call<Empty>(peer_.connection, Call::switch_over, SwitchRequest{migration_, std::move(manifest)},
                                 context_.policy.switch_timeout));
  VMSEC_CHECK(evidence_->fresh());
  auto peer = context_.services.peers->check({peer_.connection});
  if (!peer) return fail(peer.error().in("check " + peer_.peer + " at the switch-over"));
  if (peer->peer_certificate != peer_.peer_certificate)
    return fail(Code::unauthenticated, "check " + peer_.peer + " at the switch-over: another certificate");
  // From here on abort() answers that it is too late; whoever was earlier is heard.
  stage_ = Stage::proceeding;
  if (abort_requested_ || stopping_) return fail(Code::cancelled, "aborted on request");
  return context_.ledger.advance(migration_, Side::source, Phase::source_gated, "all was sent and checked");
}

void Source::commit() {
  if (Status written =
          context_.ledger.advance(migration_, Side::source, Phase::source_committed, "the copy here can never run");
      !written)
    return end_in_doubt(written.error());
  auto reply = context_.call<DecisionReply>(
      peer_.connection, Call::commit, DecisionRequest{migration_, request_.domain, {}}, context_.policy.switch_timeout);
  if (!reply) return end_in_doubt(reply.error().in("COMMIT is not acknowledged"));
  const auto downtime = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - gate_);
  // The guest runs there by now. What the hypervisor here still does with its copy may take seconds.
  if (Status gone = let_go(); !gone)
    return end_in_doubt(gone.error().in("COMMIT is acknowledged, and something of the guest is left here"));
  // COMMIT stands even if this cannot be written: resolving then asks the destination.
  if (Status done = context_.ledger.advance(migration_, Side::source, Phase::source_done, "acknowledged"); !done)
    context_.log(LogLevel::warning, "close migration " + migration_.text() + ": " + done.error().message);
  board_->update([&](MigrationStatus& status) {
    status.downtime = {static_cast<std::uint64_t>(downtime.count())};
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
