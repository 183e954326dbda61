#include "ownership.hpp"

#include <algorithm>
#include <utility>

namespace vmsec::migration {
namespace {

bool runs_there(Phase phase) { return phase == Phase::destination_committed || phase == Phase::active; }
bool gave_up_there(Phase phase) {
  return phase == Phase::destination_aborted || phase == Phase::discarded || phase == Phase::destination_lost ||
         phase == Phase::none;
}
bool may_hold_whole(Phase phase) { return phase == Phase::destination_gated || phase == Phase::loaded; }

Decision in_doubt(std::string reason) { return {Action::in_doubt, std::move(reason)}; }
Decision wait(std::string reason) { return {Action::wait, std::move(reason)}; }

// A destination that has written it off never runs what is left of it.
bool is_gone_there(const EndView& peer) {
  const Copy copy = copy_of(peer);
  return gave_up_there(peer.phase) &&
         (is_gone(copy) || (copy == Copy::broken && peer.phase == Phase::destination_lost));
}

// COMMIT is durable here, and the destination does not answer.
Decision decide_committed_alone(Copy copy, PeerHost host) {
  if (copy == Copy::busy) return wait("the hypervisor is still ending what is left here");
  if (host != PeerHost::fenced)
    return in_doubt("COMMIT is written, the destination does not answer: only it may run the guest");
  // It may have run there: memory that is old by now is not left to whoever resumes it.
  if (copy == Copy::stopped || copy == Copy::unknown)
    return in_doubt("COMMIT is written, and a copy stands still here that the guest may have left: destroy it by hand");
  return {Action::lost, "COMMIT is written, and the destination is off for good"};
}

// COMMIT is durable here: whatever else is true, this end never runs the guest again.
Decision decide_committed_source(const EndView& own, const std::optional<EndView>& peer, PeerHost host) {
  const Copy copy = copy_of(own);
  const bool gone_there = peer && is_gone_there(*peer);
  const Copy there = peer ? copy_of(*peer) : Copy::unknown;
  const bool runs_anew_there = peer && peer->phase == Phase::destination_lost &&
                               (peer->superseded || there == Copy::running || there == Copy::stopped);
  // Whoever started it here did so anew: what was handed over is nowhere.
  if (gone_there && !runs_anew_there && copy == Copy::running && peer->phase != Phase::none)
    return {Action::lost, "COMMIT is written, the destination has no copy, and the guest was started anew here"};
  if (copy == Copy::running)
    return in_doubt("COMMIT is written, but the guest runs here: somebody resumed it; stop it by hand");
  if (!peer) return decide_committed_alone(copy, host);
  const bool over_there = peer->phase == Phase::active || gone_there || runs_anew_there;
  if (over_there && copy == Copy::busy) return wait("the hypervisor is still ending what is left here");
  if (peer->phase == Phase::active) return {Action::complete, "the destination runs it"};
  if (runs_anew_there) return {Action::complete, "the destination lost it, and it was started anew there"};
  if (peer->phase == Phase::prepared)
    return in_doubt("COMMIT is written, but the destination never had the guest whole");
  if (!gave_up_there(peer->phase)) return {Action::tell_commit, "COMMIT is written"};
  if (gone_there)
    return {Action::lost, "COMMIT is written, and the destination has no copy: " + std::string(to_string(peer->phase))};
  return in_doubt("COMMIT is written, but the destination's record is " + std::string(to_string(peer->phase)));
}

// The destination says that it has committed without us: an operator had declared this host to be off. That is no
// more than its word. It ends nothing that is still here, and counts only when an operator here asks for it.
Decision decide_overruled_source(Phase phase, Copy copy) {
  if (phase == Phase::started)
    return in_doubt(
        "the destination says that it has committed, but the guest was never switched over here: it cannot have it "
        "whole; stop it there, and resolve with its host declared to be off");
  if (phase == Phase::source_aborted || phase == Phase::source_reclaimed || copy == Copy::running)
    return in_doubt(
        "the destination has committed on an operator's word that this host is off, but the guest may run "
        "here: stop one of the two by hand");
  if (copy == Copy::busy || copy == Copy::unknown) return wait("the hypervisor is still at work on it");
  if (copy != Copy::none)
    return in_doubt(
        "the destination says that it has committed on an operator's word, but the guest is still defined here: if "
        "that is true, destroy and undefine it here");
  return {Action::complete, "the destination has committed on an operator's word"};
}

// Gated, and our copy is gone: the guest is at the destination, or nowhere.
Decision decide_gone_source(const std::optional<EndView>& peer, PeerHost host) {
  if (!peer && host == PeerHost::fenced)
    return {Action::lost, "this host has no copy any more, and the destination is off for good"};
  if (!peer) return in_doubt("this host has no copy any more, and the destination does not answer");
  if (peer->live) return wait("the destination is still at work on it");
  const Copy there = copy_of(*peer);
  if (there == Copy::busy) return wait("the destination's hypervisor is still at work on it");
  if (there == Copy::unknown) return in_doubt("the destination's hypervisor does not say what it has");
  if (is_gone(there) || there == Copy::broken)
    return {Action::lost,
            "neither host has a copy: the destination's record is " + std::string(to_string(peer->phase))};
  if (there == Copy::running) return in_doubt("the guest runs at the destination without COMMIT: somebody resumed it");
  if (may_hold_whole(peer->phase)) return {Action::commit, "the guest is whole at the destination and gone here"};
  return in_doubt("the destination holds a copy whose record is " + std::string(to_string(peer->phase)));
}

// Gated, and what is here can go on nowhere: a post-copy broke before COMMIT was written, or the guest crashed.
Decision decide_broken_source(const std::optional<EndView>& peer, PeerHost host) {
  if (peer && peer->live) return wait("the destination is still at work on it");
  if (peer && is_gone_there(*peer))
    return {Action::lost, "what is here can go on nowhere, and the destination has no copy"};
  if (!peer && host == PeerHost::fenced)
    return {Action::lost, "what is here can go on nowhere, and the destination is off for good"};
  return in_doubt(
      "the guest is crashed here: it may have gone on here before. Destroy and undefine it here, and where the "
      "destination has it whole it goes on there");
}

// A guest that has left leaves no definition. This one may have gone on here, and written to its disks. Where the
// destination has committed, and be it that it lost the guest since, it is that host's: perhaps started anew there.
std::string advice_for_what_is_off(const std::optional<EndView>& peer) {
  const std::string off = "the guest is off, but still defined here: it may have gone on here and ended. ";
  if (!peer)
    return off + "The destination does not answer: only where it has not committed may the guest be started here";
  if (peer->phase == Phase::destination_lost)
    return off + "The destination had committed and lost it: never start it here, undefine it";
  return off + "Start it here, and it stays here; undefine it here, and it goes on at the destination";
}

Decision decide_undecided_source(const EndView& own, const std::optional<EndView>& peer, PeerHost host) {
  const Copy copy = copy_of(own);
  if (copy == Copy::unknown) return in_doubt("the hypervisor does not say what it has of the guest");
  if (copy == Copy::busy) return wait("the hypervisor is still at work on it");
  if (copy == Copy::broken && own.phase == Phase::source_gated) return decide_broken_source(peer, host);
  // Without COMMIT the destination can never run it, reachable or not.
  if (!is_gone(copy)) return {Action::abort, "the guest is still here, and COMMIT was never written"};
  if (own.phase == Phase::started) return {Action::abort, "the guest ended here before anything was switched over"};
  if (copy == Copy::none) return decide_gone_source(peer, host);
  return in_doubt(advice_for_what_is_off(peer));
}

Decision decide_paused_destination(const std::optional<EndView>& peer, PeerHost host) {
  if (!peer && host == PeerHost::fenced)
    return {Action::commit, "an operator's word that the source is off, and stays off"};
  if (!peer) return in_doubt("the source does not answer: only it knows whether COMMIT was written");
  switch (peer->phase) {
    case Phase::source_committed:
    case Phase::source_done:
      return {Action::commit, "the source has written COMMIT"};
    case Phase::source_aborted:
    case Phase::source_reclaimed:
    case Phase::source_failed:
      return {Action::abort, "the source has aborted"};
    case Phase::none:
      return in_doubt("the source has no record of this migration with this host");
    default:
      if (peer->live) return wait("the source is still at work on it");
      return in_doubt("the source cannot decide yet: its record is " + std::string(to_string(peer->phase)));
  }
}

}  // namespace

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::none:
      return "none";
    case Phase::started:
      return "started";
    case Phase::source_gated:
    case Phase::destination_gated:
      return "gated";
    case Phase::source_committed:
    case Phase::destination_committed:
      return "committed";
    case Phase::source_done:
      return "done";
    case Phase::source_aborted:
    case Phase::destination_aborted:
      return "aborted";
    case Phase::source_reclaimed:
      return "reclaimed";
    case Phase::source_failed:
      return "failed";
    case Phase::source_lost:
    case Phase::destination_lost:
      return "lost";
    case Phase::prepared:
      return "prepared";
    case Phase::loaded:
      return "loaded";
    case Phase::active:
      return "active";
    case Phase::discarded:
      return "discarded";
  }
  return "unknown";
}

Side side_of(Phase phase) {
  const auto number = static_cast<std::uint32_t>(phase);
  if (number >= 1 && number <= 8) return Side::source;
  if (number >= 21 && number <= 28) return Side::destination;
  return Side::unknown;
}

bool may_follow(Phase from, Phase to) {
  using enum Phase;
  static constexpr std::pair<Phase, Phase> kAllowed[] = {
      {none, started},
      {started, source_gated},
      {started, source_aborted},
      {started, source_reclaimed},
      {source_gated, source_committed},
      {source_gated, source_aborted},
      {source_gated, source_reclaimed},
      {source_gated, source_lost},
      {source_committed, source_done},
      {source_committed, source_lost},
      {source_aborted, source_reclaimed},
      {source_reclaimed, source_failed},
      {source_lost, source_committed},
      {none, prepared},
      {prepared, destination_gated},
      {prepared, destination_aborted},
      {destination_gated, loaded},
      {destination_gated, destination_committed},
      {destination_gated, destination_aborted},
      {loaded, destination_committed},
      {loaded, destination_aborted},
      {destination_committed, active},
      {destination_committed, destination_lost},
      {destination_aborted, discarded},
  };
  return std::find(std::begin(kAllowed), std::end(kAllowed), std::pair(from, to)) != std::end(kAllowed);
}

bool is_final(Phase phase) {
  switch (phase) {
    case Phase::source_done:
    case Phase::source_failed:
    case Phase::source_lost:
    case Phase::active:
    case Phase::discarded:
    case Phase::destination_lost:
      return true;
    default:
      return false;
  }
}

// A reclaimed guest runs here as before: only the other end is still to be told.
bool blocks_another(Phase phase) { return !is_final(phase) && phase != Phase::source_reclaimed; }

MigrationState state_of(Phase phase) {
  switch (phase) {
    case Phase::source_done:
    case Phase::active:
      return MigrationState::completed;
    case Phase::source_reclaimed:
    case Phase::source_failed:
    case Phase::discarded:
      return MigrationState::failed;
    case Phase::source_lost:
    case Phase::destination_lost:
      return MigrationState::lost;
    default:
      return MigrationState::in_doubt;
  }
}

Copy copy_of(const EndView& view) {
  if (!view.holding_known) return Copy::unknown;
  if (view.holding.migrating) return Copy::busy;
  if (!view.holding.present) return Copy::none;
  switch (view.holding.state) {
    case DomainState::running:
      return Copy::running;
    case DomainState::paused:
      return Copy::stopped;
    case DomainState::shut_off:
      return view.holding.moved ? Copy::none : Copy::ended;
    case DomainState::crashed:
      return Copy::broken;
    case DomainState::unknown:
      break;
  }
  return Copy::unknown;
}

bool is_gone(Copy copy) { return copy == Copy::none || copy == Copy::ended; }

Decision decide_at_start(const EndView& own) {
  if (own.phase != Phase::started && own.phase != Phase::source_gated)
    return {Action::nothing, "not a source's to decide"};
  const Copy copy = copy_of(own);
  if (own.live || copy == Copy::unknown || copy == Copy::busy) return wait("the hypervisor is still at work on it");
  if (is_gone(copy)) return {Action::nothing, "no copy is here"};
  if (copy == Copy::broken && own.phase == Phase::source_gated)
    return {Action::nothing, "what is here can go on nowhere"};
  return {Action::abort, "the agent stopped in mid-migration; the guest is still here, and COMMIT was never written"};
}

Decision decide_failed(const EndView& own) {
  const Copy copy = copy_of(own);
  const bool unseen = is_gone(copy) || copy == Copy::unknown || copy == Copy::busy || copy == Copy::broken;
  if (own.phase == Phase::source_gated && unseen)
    return in_doubt(
        "the hypervisor says that the guest goes on here, but it is not seen here: the destination may have it");
  return {Action::abort, "the hypervisor gave up: the guest goes on here"};
}

Decision decide_source_for_peer(const EndView& own, const EndView& peer) {
  Decision decision = decide_source(own, peer, PeerHost::standing);
  if (decision.action == Action::lost)
    return in_doubt("the destination says that it has no copy: resolve it at this host");
  if (decision.action != Action::complete) return decision;
  if (own.phase == Phase::source_committed) {
    if (copy_of(own) == Copy::none) return decision;
    return in_doubt("COMMIT is written, and something of the guest is left here: resolve it at this host");
  }
  return in_doubt("the destination says that it has committed on an operator's word: resolve it at this host");
}

Decision decide_source(const EndView& own, const std::optional<EndView>& peer, PeerHost host) {
  if (own.phase == Phase::source_done || own.phase == Phase::source_failed) return {Action::nothing, "finished"};
  if (own.live) return wait("it is still under way here");
  if (own.phase == Phase::source_committed) return decide_committed_source(own, peer, host);
  if (peer && runs_there(peer->phase)) return decide_overruled_source(own.phase, copy_of(own));
  switch (own.phase) {
    case Phase::source_aborted:
      return {Action::reclaim, "ABORT is written"};
    case Phase::source_reclaimed:
      if (!peer) return {Action::tell_abort, "ABORT is written, the destination was not told"};
      if (gave_up_there(peer->phase) && peer->phase != Phase::destination_aborted)
        return {Action::close_failed, "the destination has discarded"};
      return {Action::tell_abort, "ABORT is written"};
    case Phase::started:
    case Phase::source_gated:
      return decide_undecided_source(own, peer, host);
    case Phase::source_lost:
      // Started anew from its disks, and moved on since: what comes back is an old copy.
      if (own.superseded) return {Action::nothing, "lost, and a later migration of it is on record here"};
      // Final, unless a destination that was thought lost comes back with the guest.
      if (peer && !peer->live && may_hold_whole(peer->phase) && copy_of(*peer) == Copy::stopped &&
          copy_of(own) == Copy::none)
        return {Action::commit, "the guest is whole at the destination and gone here"};
      return {Action::nothing, "lost"};
    default:
      return in_doubt("no record of it as a source");
  }
}

Decision decide_destination(const EndView& own, const std::optional<EndView>& peer, PeerHost host) {
  switch (own.phase) {
    case Phase::active:
    case Phase::discarded:
    case Phase::destination_lost:
      return {Action::nothing, "finished"};
    case Phase::destination_committed:
      return {Action::activate, "COMMIT is written"};
    case Phase::destination_aborted:
      return {Action::discard, "ABORT is written"};
    case Phase::prepared:
      if (own.live) return wait("it is still under way here");
      return {Action::abort, "the guest was never received in full"};
    case Phase::destination_gated:
    case Phase::loaded:
      break;
    default:
      return in_doubt("no record of it as a destination");
  }
  if (own.live) return wait("it is still under way here");
  switch (copy_of(own)) {
    case Copy::unknown:
      return in_doubt("the hypervisor does not say what it has of the guest");
    case Copy::busy:
      return wait("the hypervisor is still at work on it");
    case Copy::none:
    case Copy::ended:
    case Copy::broken:
      return {Action::abort, "there is no whole copy here"};
    case Copy::running:
      return in_doubt("the guest runs here without COMMIT: somebody resumed it");
    case Copy::stopped:
      return decide_paused_destination(peer, host);
  }
  return in_doubt("unknown copy");
}

}  // namespace vmsec::migration
