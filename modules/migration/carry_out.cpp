// What was decided, step by step: of Resolver. The order is steps.hpp's.
#include "resolver.hpp"

namespace vmsec::migration {

Status Resolver::settle_source(const OwnershipRecord& record, const std::optional<EndView>& peer, PeerHost host,
                               Tell tell, const Line* line) {
  const EndView own = view_of(record);
  const Decision decision =
      tell == Tell::no && peer ? decide_source_for_peer(own, *peer) : decide_source(own, peer, host);
  return carry_out(record, own.phase, decision, tell == Tell::yes && peer ? line : nullptr);
}

Status Resolver::settle_destination(const OwnershipRecord& record, const std::optional<EndView>& peer, PeerHost host) {
  const EndView own = view_of(record);
  return carry_out(record, own.phase, decide_destination(own, peer, host), nullptr);
}

Status Resolver::carry_out(const OwnershipRecord& record, Phase phase, const Decision& decision, const Line* line) {
  if (decision.action == Action::nothing) return {};
  const Steps steps = steps_of(record.side, decision.action, phase);
  if (steps.empty()) return in_doubt(record, decision.reason);
  return take(record, steps, decision.reason, line);
}

// That the other end cannot be told keeps nothing from us; but only what it has answered is written as known to both.
Status Resolver::take(const OwnershipRecord& record, const Steps& steps, const std::string& why, const Line* line) {
  Status told;
  bool answered = true;
  for (const Step step : steps) {
    if (needs_answer(step) && !answered) break;
    if (step == Step::tell_abort || step == Step::tell_commit) {
      if (line != nullptr) told = tell(record, step, *line);
      answered = line != nullptr && told;
      continue;
    }
    const Status done = act(record, step, why);
    if (!done && step == Step::activate) return lose_copy(record, done);
    // Nobody starts what may still be decided otherwise.
    if (!done && step == Step::write_lost)
      std::ignore = context_.services.migration->hold({record.migration, record.domain});
    VMSEC_CHECK(done);
  }
  return told;
}

// What cannot be activated: lost, if it is gone, or was what a broken post-copy has left.
Status Resolver::lose_copy(const OwnershipRecord& record, const Status& cause) {
  if (copy_of(view_of(record)) == Copy::broken) std::ignore = act(record, Step::unhold, {});
  if (is_gone(copy_of(view_of(record))))
    return take(record, steps_of_missing_copy(), "COMMIT is written, but there is no whole copy here", nullptr);
  std::ignore = context_.services.migration->hold({record.migration, record.domain});
  return cause;
}

Status Resolver::act(const OwnershipRecord& record, Step step, const std::string& why) {
  // What is here belongs to a later migration: an old record does not touch it.
  if (touches_copy(step) && context_.ledger.superseded(record.migration, record.side))
    return fail(Code::wrong_state, std::string(to_string(step)) + " " + record.name +
                                       ": a later migration of it than " + record.migration.text() +
                                       " is on record here");
  switch (step) {
    case Step::reclaim:
      return reclaim(record);
    case Step::release:
      return release(record);
    case Step::activate:
      return activate(record);
    case Step::discard:
      return discard_copy(context_, {record.migration, record.domain});
    case Step::unhold:
      return unhold(record);
    default:
      return write(record, step, why);
  }
}

Status Resolver::write(const OwnershipRecord& record, Step step, const std::string& why) {
  const auto phase = phase_of(record.side, step);
  if (!phase) return fail(Code::internal, "write " + std::string(to_string(step)) + ": it is no step that is written");
  const auto advance = [&](const std::string& text, Code code = Code::ok) {
    return context_.ledger.advance(record.migration, record.side, *phase, text, code);
  };
  switch (step) {
    case Step::write_aborted:
      return advance(why, Code::cancelled);
    case Step::write_reclaimed:
      return advance(is_gone(copy_of(view_of(record))) ? "the guest had ended here" : "it goes on here");
    case Step::write_failed:
      return advance("the destination has discarded");
    case Step::write_done:
      return advance("the destination runs it");
    case Step::write_lost:
      return advance("LOST: " + why, Code::internal);
    case Step::write_active:
      return advance("it runs here");
    case Step::write_discarded:
      return advance("nothing is left");
    default:
      return advance(why);
  }
}

Status Resolver::tell(const OwnershipRecord& record, Step step, const Line& line) const {
  const bool abort = step == Step::tell_abort;
  const DecisionRequest request{record.migration, record.domain, abort ? "resolved: the source keeps the guest" : ""};
  auto told = context_.call<DecisionReply>(line.peer.connection, abort ? Call::abort : Call::commit, request,
                                           context_.policy.call_timeout);
  if (told) return {};
  return fail(told.error().in(abort ? "tell " + record.peer + " to discard" : "COMMIT is not acknowledged"));
}

// A session in doubt could not be closed when its migration ended here; as long as it is there
// the domain cannot move again.
void Resolver::close_session(const OwnershipRecord& record) {
  const auto closed = context_.services.migration->close({record.migration, record.domain});
  if (closed || closed.error().code == Code::not_found) return;
  context_.log(LogLevel::warning, "close migration " + record.migration.text() + ": " + closed.error().message);
}

Status Resolver::reclaim(const OwnershipRecord& record) {
  if (!is_gone(copy_of(view_of(record)))) {
    auto reclaimed = context_.services.migration->reclaim({record.migration, record.domain});
    if (!reclaimed) return fail(reclaimed.error().in("reclaim " + record.name));
  }
  close_session(record);
  return {};
}

Status Resolver::release(const OwnershipRecord& record) {
  VMSEC_CHECK(release_copy(context_, {record.migration, record.domain}));
  close_session(record);
  return {};
}

Status Resolver::unhold(const OwnershipRecord& record) {
  close_session(record);
  auto unheld = context_.services.migration->unhold({record.migration, record.domain});
  if (!unheld) return fail(unheld.error().in("let go of " + record.name));
  return {};
}

Status Resolver::activate(const OwnershipRecord& record) {
  auto activated = context_.services.migration->activate({record.migration, record.domain});
  if (!activated) return fail(activated.error().in("activate " + record.name));
  return {};
}

}  // namespace vmsec::migration
