// Who owns the guest: every decision of the protocol as a pure function of what
// the two ends know, so that all cases can be enumerated.
//
// The invariants (docs/migration-protocol.md, "Ownership"):
//  - a destination runs its copy only in phase destination_committed or active;
//  - a source lets its copy run only outside of source_committed and source_done;
//  - source_committed is written only once the source's copy cannot run any more;
//  - destination_committed is written only on the source's word that it is
//    source_committed, or on the operator's word that the source is off.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol.hpp"

namespace vmsec::migration {

std::string_view to_string(Phase phase);
Side side_of(Phase phase);

// Whether a durable record may go from one phase to the next.
bool may_follow(Phase from, Phase to);
// Nothing is left to do at this end.
bool is_final(Phase phase);
// Whether another migration of the domain waits for this one's end.
bool blocks_another(Phase phase);
// What an operator is told of a record without a session.
MigrationState state_of(Phase phase);

// What an end has of the guest.
enum class Copy : std::uint8_t {
  unknown,  // the hypervisor does not answer, or not clearly
  busy,     // the hypervisor is still at work on it
  none,     // it is not here: not known, or off because it moved
  ended,    // off, and nobody says that it moved: it may have run on here and ended
  stopped,  // a whole copy that does not run
  running,
  broken,  // crashed
};
Copy copy_of(const EndView& view);
// Nothing of the guest's memory is here.
bool is_gone(Copy copy);

enum class Action {
  nothing,       // this end has finished
  wait,          // somebody is still at work: ask again
  in_doubt,      // it cannot be decided with what is known
  lost,          // neither end has a copy: write it down
  abort,         // source: durable ABORT, then tell the destination, then reclaim.
                 // destination: durable, then discard
  reclaim,       // source: ABORT is durable; tell, then reclaim
  tell_abort,    // source: reclaimed; tell
  commit,        // source: release, durable COMMIT, then tell.
                 // destination: durable, then activate
  tell_commit,   // source: COMMIT is durable; tell
  complete,      // source: the destination runs it: COMMIT if need be, then done
  close_failed,  // source: the destination has discarded: failed
  activate,      // destination: COMMIT is durable
  discard,       // destination: ABORT is durable
};

struct Decision {
  Action action = Action::in_doubt;
  std::string reason;
  friend bool operator==(const Decision&, const Decision&) = default;
};

enum class PeerHost {
  standing,
  fenced,  // the operator's word that it is off, and stays off
};

// `peer`: absent where the other end does not answer.
Decision decide_source(const EndView& own, const std::optional<EndView>& peer, PeerHost host);
// The same when it is the destination that asks, with nothing but its own word for what it has.
Decision decide_source_for_peer(const EndView& own, const EndView& peer);
// At the agent's start, by what is here alone: a guest that is still here stays, before
// it can end here and be taken for one that has left. `abort`, `wait` or `nothing`.
Decision decide_at_start(const EndView& own);
// When the source's hypervisor says that it failed and the guest goes on here: `abort`. In doubt where the guest may
// have been handed over and nothing of it is here: the destination may have the only copy.
Decision decide_failed(const EndView& own);
Decision decide_destination(const EndView& own, const std::optional<EndView>& peer, PeerHost host);

}  // namespace vmsec::migration
