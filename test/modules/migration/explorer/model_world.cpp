// The hypervisors, what breaks, and what people do: of Model.
#include "model.hpp"

namespace vmsec::migration::explorer {
namespace {

constexpr const char* kHere = "source's hypervisor";
constexpr const char* kThere = "destination's hypervisor";

}  // namespace

void Model::expand_engines() {
  expand_source_engine();
  expand_destination_engine();
}

void Model::expand_source_engine() {
  const auto end = [&](Guest copy, Word word, const char* what) {
    State next = s_;
    const char* violation = nullptr;
    next.source.engine = Engine::over;
    next.source.word = live(s_.source) ? word : Word::none;
    if (copy == Guest::running)
      let_run(next, Side::source, &violation);
    else
      next.source.copy = copy;
    emit(Kind::normal, kHere, what, next, violation);
  };
  State next = s_;
  switch (s_.source.engine) {
    case Engine::moving:
      if (s_.cut != 0 && s_.post_copy != 0) return end_begun_post_copy();
      if (s_.cut != 0) return end(Guest::running, Word::failed, "finds the line cut");
      if (s_.destination.engine != Engine::moving) return;
      next.source.engine = Engine::gate;
      next.source.copy = Guest::paused;
      next.captured = 1;
      next.source.word = Word::gate;
      return emit(Kind::normal, kHere, "stops the guest: all is sent", next);
    case Engine::gate:
      if (s_.cut == 0) return;
      if (s_.post_copy != 0) return end(Guest::broken, Word::doubt, "finds the line cut: the guest cannot go on");
      end(Guest::running, Word::failed, "finds the line cut: the guest goes on");
      return end(Guest::paused, Word::doubt, "finds the line cut: the guest stays paused");
    case Engine::handed:
      if (s_.post_copy != 0 && (s_.cut != 0 || s_.answer == Answer::refused))
        return end(Guest::broken, Word::doubt, "hears no good answer: the guest cannot go on");
      if (s_.cut != 0) {
        end(Guest::running, Word::failed, "hears no answer: the guest goes on");
        return end(Guest::paused, Word::doubt, "hears no answer: the guest stays paused");
      }
      if (s_.answer == Answer::loaded) {
        end(Guest::none, Word::done, "hears that it is loaded: lets go");
        if (!live(s_.source)) return;
        // The plugin is quicker: it kills the copy. What it leaves, the hypervisor clears away.
        next.source.copy = Guest::off;
        next.source.told = 1;
        next.source.engine = Engine::leaving;
        next.source.word = Word::done;
        return emit(Kind::normal, kHere, "hears that it is loaded: its copy is killed", next);
      }
      if (s_.answer == Answer::refused) return end(Guest::running, Word::failed, "hears a refusal: the guest goes on");
      return;
    case Engine::leaving:
      next.source.engine = Engine::over;
      if (world_.agents_die) emit(Kind::fault, kHere, "dies before it has cleared away what is left of its copy", next);
      next.source.copy = Guest::none;
      return emit(Kind::normal, kHere, "has cleared away what was left of its copy", next);
    default:
      return;
  }
}

// It goes on, or does not, as the hypervisor found it out before or after it had handed over.
void Model::end_begun_post_copy() {
  Move move{s_};
  End& end = move.next.source;
  end.engine = Engine::over;
  end.word = live(s_.source) ? Word::doubt : Word::none;
  end.copy = Guest::broken;
  emit(Kind::normal, kHere, "finds the line cut: the guest cannot go on", move);
  move.next.post_copy = 0;
  end.word = live(s_.source) ? Word::failed : Word::none;
  end.copy = Guest::paused;
  let_run(move.next, Side::source, &move.violation);
  emit(Kind::normal, kHere, "finds the line cut before it has handed over: the guest goes on", move);
}

void Model::expand_destination_engine() {
  const auto end = [&](Guest copy, Answer answer, Word word, const char* what) {
    State next = s_;
    next.destination.engine = Engine::over;
    next.destination.word = live(s_.destination) ? word : Word::none;
    next.destination.copy = copy;
    next.answer = answer;
    emit(Kind::normal, kThere, what, next);
  };
  State next = s_;
  switch (s_.destination.engine) {
    case Engine::moving:
      if (s_.cut != 0) return end(Guest::none, Answer::none, Word::failed, "finds the line cut");
      if (s_.finish == 0) return;
      next.destination.engine = Engine::gate;
      next.destination.word = Word::gate;
      return emit(Kind::normal, kThere, "has received all", next);
    case Engine::gate:
      if (s_.cut != 0) return end(Guest::none, Answer::none, Word::failed, "finds the line cut");
      return;
    case Engine::handed:
      if (s_.runs != 0)
        expand_load_to_run();
      else
        end(Guest::paused, Answer::loaded, Word::done, "has loaded the guest, paused");
      return end(Guest::none, Answer::refused, Word::failed, "cannot load it");
    case Engine::following:
      if (s_.cut == 0) return end(Guest::running, Answer::loaded, Word::done, "has all of the guest");
      end(Guest::broken, Answer::none, Word::doubt, "finds the line cut: what it lacks does not come, and stops it");
      if (live(s_.destination)) next.destination.word = Word::doubt;
      return emit(Kind::normal, kThere, "finds the line cut: what it lacks does not come", next);
    default:
      return;
  }
}

// It runs as soon as it is loaded.
void Model::expand_load_to_run() {
  Move move{s_};
  End& end = move.next.destination;
  end.copy = Guest::paused;
  let_run(move.next, Side::destination, &move.violation);
  if (s_.post_copy != 0) {
    end.engine = Engine::following;
    return emit(Kind::normal, kThere, "runs the guest, whose memory follows", move);
  }
  end.engine = Engine::over;
  end.word = live(end) ? Word::done : Word::none;
  move.next.answer = Answer::loaded;
  emit(Kind::normal, kThere, "has loaded the guest, which runs", move);
}

// What an agent forgets when it dies; the hypervisors' conversation went through it.
void Model::crash(Side side) {
  State next = s_;
  End& end = end_of(next, side);
  end.up = end.starting = end.told = 0;
  end.session = end.resolver = end.handler = {};
  end.seen = {};
  end.word = Word::none;
  if (works(s_.source.engine) || works(s_.destination.engine)) next.cut = 1;
  if (side == Side::source) next.claim = {};
  emit(Kind::fault, side == Side::source ? "source's agent" : "destination's agent", "dies", next);
}

void Model::expand_faults() {
  for (const Side side : {Side::source, Side::destination}) {
    const bool source = side == Side::source;
    const End& end = source ? s_.source : s_.destination;
    if (end.up != 0 && world_.agents_die) crash(side);
    State next = s_;
    End& there = end_of(next, side);
    if (end.up == 0 && end.off == 0) {
      there.up = 1;
      there.phase = there.disk;
      const bool undecided = phase_at(there) == Phase::started || phase_at(there) == Phase::source_gated;
      there.starting = static_cast<Byte>(source && undecided);
      emit(Kind::recovery, source ? "source's agent" : "destination's agent", "is started", next);
    }
    next = s_;
    there.off = 0;
    // It stays off: at least until what was done on an operator's word is done.
    const bool relied_on = s_.word_given != 0 && (source ? s_.destination : s_.source).resolver.at == At::steps;
    if (end.off != 0 && !relied_on)
      emit(Kind::recovery, source ? "source's host" : "destination's host", "has power again", next);
  }
  if (world_.links_break && s_.cut == 0 && (works(s_.source.engine) || works(s_.destination.engine))) {
    State next = s_;
    next.cut = 1;
    emit(Kind::fault, "network", "cuts the hypervisors' line", next);
  }
  expand_guest_faults();
}

void Model::expand_guest_faults() {
  for (const Side side : {Side::source, Side::destination}) {
    const bool source = side == Side::source;
    const End& end = source ? s_.source : s_.destination;
    const bool there_is_one = end.copy == Guest::running || end.copy == Guest::paused;
    // What runs leaves its definition; a copy that was never committed leaves nothing.
    const Guest left = source || end.copy == Guest::running ? Guest::off : Guest::none;
    State next = s_;
    End& there = end_of(next, side);
    if (there_is_one) there.copy = left;
    if (world_.guests_die && there_is_one) {
      if (works(end.engine)) {
        if (end.engine != Engine::leaving) there.word = live(end) ? Word::failed : Word::none;
        there.engine = Engine::over;
        next.cut = 1;
      }
      emit(Kind::fault, source ? kHere : kThere, "loses the guest, or the guest ends", next);
    }
    if (!world_.power_fails || end.off != 0) continue;
    next = s_;
    if (there_is_one) there.copy = left;
    if (end.copy == Guest::broken) there.copy = Guest::off;
    there.off = 1;
    there.up = there.starting = there.told = 0;
    there.session = there.resolver = there.handler = {};
    there.seen = {};
    there.word = Word::none;
    if (works(end.engine)) there.engine = Engine::over;
    if (source) next.claim = {};
    next.cut = 1;
    emit(Kind::fault, source ? "source's host" : "destination's host", "loses its power", next);
  }
}

// Other migrations of the same guest, each at once and whole: whoever may begin one.
void Model::expand_later_moves() {
  if (!world_.moves_on) return;
  State next = s_;
  const bool free_here = s_.source.up != 0 && !live(s_.source) && !rules_.blocks_another(phase_at(s_.source));
  const bool free_there =
      s_.destination.up != 0 && !live(s_.destination) && !rules_.blocks_another(phase_at(s_.destination));
  if (free_here && phase_at(s_.source) != Phase::none && s_.source.copy == Guest::running) {
    next.source.copy = Guest::none;
    next.source.superseded = next.elsewhere = 1;
    next.source.old = next.destination.old = 1;
    emit(Kind::fault, "operator at the source:", "migrate to a third host, which runs it", next);
  }
  next = s_;
  if (free_there && s_.destination.copy == Guest::running) {
    next.destination.copy = Guest::none;
    next.destination.superseded = 1;
    if (free_here && s_.source.copy == Guest::none) {
      next.source.copy = Guest::running;
      next.source.superseded = 1;
      next.source.old = 0;
      emit(Kind::fault, "operator at the destination:", "migrate back to the source, which runs it", next);
    }
    next = s_;
    next.destination.copy = Guest::none;
    next.destination.superseded = next.elsewhere = 1;
    next.source.old = next.destination.old = 1;
    emit(Kind::fault, "operator at the destination:", "migrate to a third host, which runs it", next);
  }
  next = s_;
  const bool again = free_here && s_.source.superseded != 0 && s_.source.copy == Guest::running;
  if (again && free_there && s_.destination.copy == Guest::none) {
    next.source.copy = Guest::none;
    next.destination.copy = Guest::running;
    next.destination.superseded = 1;
    next.destination.old = 0;
    next.source.old = 1;
    emit(Kind::fault, "operator at the source:", "migrate to the destination once more, which runs it", next);
  }
  next = s_;
  const bool none_there = s_.destination.copy == Guest::none || s_.destination.copy == Guest::off;
  const bool ended_there = s_.destination.engine == Engine::none || s_.destination.engine == Engine::over;
  if (free_there && none_there && ended_there && running(s_) == 0 && s_.destination.resolver.at == At::idle &&
      s_.source.resolver.at == At::idle && s_.source.copy != Guest::paused &&
      phase_at(s_.destination) == Phase::destination_lost) {
    next.destination.copy = Guest::running;
    next.destination.old = 0;
    next.source.old = 1;
    emit(Kind::fault, "operator at the destination:", "starts the lost guest anew from its disks", next);
  }
  next = s_;
  const bool gone = s_.source.copy == Guest::none || s_.source.copy == Guest::off;
  const bool nowhere = gone && running(s_) == 0;
  // Once it is said, not in the middle of it.
  if (free_here && nowhere && s_.source.resolver.at == At::idle && phase_at(s_.source) == Phase::source_lost) {
    next.source.copy = Guest::running;
    next.source.old = 0;
    next.destination.old = 1;
    emit(Kind::fault, "operator at the source:", "starts the lost guest anew from its disks", next);
  }
}

// What the documents tell an operator to do where a post-copy has broken, and where the source's guest is off and still
// defined.
void Model::expand_by_hand() {
  State ended = s_;
  ended.destination.copy = Guest::off;
  ended.destination.engine = Engine::over;
  ended.destination.word = live(s_.destination) ? Word::failed : Word::none;
  if (s_.destination.engine == Engine::following && s_.cut != 0)
    emit(Kind::recovery, "operator at the destination:", "destroys the guest whose post-copy is broken", ended);
  ended = s_;
  ended.source.copy = Guest::off;
  if (s_.source.copy == Guest::broken)
    emit(Kind::fault, "operator at the source:", "destroys the guest whose post-copy is broken, untold", ended);
  const End& there = s_.destination;
  if (s_.source.up == 0 || live(s_.source) || s_.source.copy != Guest::off || s_.elsewhere != 0) return;
  if (s_.source.engine == Engine::leaving || s_.source.told != 0) return;  // then nobody is told to
  const Phase phase = phase_at(s_.source);
  // A destination that lost the guest had committed: from then on it is that host's, where it may have been started
  // anew.
  const Phase theirs = phase_at(there);
  const bool taken =
      theirs == Phase::destination_committed || theirs == Phase::active || theirs == Phase::destination_lost;
  if (phase != Phase::source_gated && !(taken && phase == Phase::source_aborted)) return;
  State next = s_;
  next.source.copy = Guest::none;
  if (whole(there) || taken) emit(Kind::recovery, "operator at the source:", "undefines the guest that is off", next);
  next.source.copy = Guest::running;
  next.source.old = 0;
  next.destination.old = 1;
  if (!taken) emit(Kind::recovery, "operator at the source:", "starts the guest that is off", next);
}

}  // namespace vmsec::migration::explorer
