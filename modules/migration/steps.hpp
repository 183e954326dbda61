// What an end does once it has decided, in which order: as data, so that what runs and what is explored
// (test/modules/migration/explorer) is the same. A crash may come between any two steps.
#pragma once

#include <optional>
#include <vector>

#include "ownership.hpp"

namespace vmsec::migration {

enum class Step {
  // Durable; one that fails ends the whole. In the order of phase_of().
  write_aborted,
  write_reclaimed,
  write_failed,
  write_committed,
  write_done,
  write_lost,
  write_active,
  write_discarded,
  // To the other end. One that is not answered forbids write_failed, release and write_done behind it, nothing else.
  tell_abort,
  tell_commit,
  // By the hypervisor; one that fails ends the whole.
  reclaim,
  release,
  activate,
  discard,
  unhold,
};
using Steps = std::vector<Step>;

std::string_view to_string(Step step);
// The phase that a step writes, at that end.
std::optional<Phase> phase_of(Side side, Step step);
// Only the newest migration of a domain does.
bool touches_copy(Step step);
// These are for when both ends know.
bool needs_answer(Step step);

// Of a decision, at an end whose record is in this phase. Empty where nothing is to be done.
Steps steps_of(Side side, Action action, Phase phase);
// A copy that is gone although COMMIT is written: what takes the place of activate and write_active.
Steps steps_of_missing_copy();

// Of `abort` at the agent's start: a guest that is paused waits for an operator.
Steps steps_at_start(Copy copy);

// ---- the destination's answers ----
// Whether COMMIT is taken: there is a whole, stopped copy, or it was taken before.
bool takes_commit(const EndView& own);
Steps steps_of_commit(Phase phase);
Steps steps_of_abort(Phase phase);

}  // namespace vmsec::migration
