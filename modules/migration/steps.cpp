#include "steps.hpp"

namespace vmsec::migration {
namespace {

using enum Step;

Steps steps_of_source(Action action, Phase phase) {
  switch (action) {
    // Whoever reads that it is lost may start it anew.
    case Action::lost:
      return {unhold, write_lost};
    // The destination is told first: what it holds (a lock of a disk) may be what keeps the guest from going on here.
    case Action::abort:
      return {write_aborted, tell_abort, reclaim, write_reclaimed, write_failed};
    case Action::reclaim:
      return {tell_abort, reclaim, write_reclaimed, write_failed};
    case Action::tell_abort:
      return {tell_abort, write_failed};
    case Action::close_failed:
      return {write_failed};
    // What is left of our copy goes first: COMMIT says that it can never run.
    case Action::commit:
      return {release, write_committed, tell_commit, write_done};
    // The guest there waits for nothing else. A hypervisor that died over the end of it has left something of our copy.
    case Action::tell_commit:
      return {tell_commit, release, write_done};
    case Action::complete:
      if (phase == Phase::source_committed) return {release, write_done};
      return {release, write_committed, write_done};
    default:
      return {};
  }
}

Steps steps_of_destination(Action action) {
  switch (action) {
    case Action::commit:
      return {write_committed, activate, write_active};
    case Action::activate:
      return {activate, write_active};
    case Action::abort:
      return {write_aborted, discard, write_discarded};
    case Action::discard:
      return {discard, write_discarded};
    default:
      return {};
  }
}

}  // namespace

std::string_view to_string(Step step) {
  static constexpr std::string_view kNames[] = {"write aborted", "write reclaimed", "write failed", "write committed",
                                                "write done",    "write lost",      "write active", "write discarded",
                                                "tell ABORT",    "tell COMMIT",     "reclaim",      "release",
                                                "activate",      "discard",         "unhold"};
  return kNames[static_cast<std::size_t>(step)];
}

std::optional<Phase> phase_of(Side side, Step step) {
  const bool source = side == Side::source;
  switch (step) {
    case write_aborted:
      return source ? Phase::source_aborted : Phase::destination_aborted;
    case write_reclaimed:
      return Phase::source_reclaimed;
    case write_failed:
      return Phase::source_failed;
    case write_committed:
      return source ? Phase::source_committed : Phase::destination_committed;
    case write_done:
      return Phase::source_done;
    case write_lost:
      return source ? Phase::source_lost : Phase::destination_lost;
    case write_active:
      return Phase::active;
    case write_discarded:
      return Phase::discarded;
    default:
      return std::nullopt;
  }
}

bool touches_copy(Step step) { return step >= reclaim; }

bool needs_answer(Step step) { return step == write_failed || step == release || step == write_done; }

Steps steps_of(Side side, Action action, Phase phase) {
  return side == Side::source ? steps_of_source(action, phase) : steps_of_destination(action);
}

Steps steps_of_missing_copy() { return {unhold, write_lost}; }

Steps steps_at_start(Copy copy) {
  if (copy != Copy::running) return {write_aborted};
  return {write_aborted, reclaim, write_reclaimed};
}

bool takes_commit(const EndView& own) {
  switch (own.phase) {
    case Phase::loaded:
    case Phase::destination_committed:
    case Phase::active:
      return true;
    // A crash may have come between the hypervisor's word and ours: then it is the hypervisor who says that the
    // copy is whole.
    case Phase::destination_gated:
      return copy_of(own) == Copy::stopped;
    default:
      return false;
  }
}

Steps steps_of_commit(Phase phase) {
  if (phase == Phase::active) return {};
  return {write_committed, activate, write_active};
}

Steps steps_of_abort(Phase phase) {
  if (phase == Phase::discarded || phase == Phase::destination_lost) return {};
  return {write_aborted, discard, write_discarded};
}

}  // namespace vmsec::migration
