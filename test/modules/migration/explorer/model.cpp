#include "model.hpp"

namespace vmsec::migration::explorer {
namespace {

Copy copy_at(const End& end) {
  if (works(end.engine)) return Copy::busy;
  switch (end.copy) {
    case Guest::none:
      return Copy::none;
    case Guest::running:
      return Copy::running;
    case Guest::paused:
      return Copy::stopped;
    case Guest::broken:
      return Copy::broken;
    case Guest::off:
      break;
  }
  return end.told != 0 ? Copy::none : Copy::ended;
}

// As the hypervisor would tell it: copy_of() answers the same.
EndView view_of(const Seen& seen, bool superseded) {
  EndView view{static_cast<Phase>(seen.phase), seen.live != 0, true, {}, superseded};
  view.holding.migrating = seen.copy == Copy::busy;
  view.holding.present = seen.copy != Copy::none;
  if (seen.copy == Copy::running) view.holding.state = DomainState::running;
  if (seen.copy == Copy::stopped) view.holding.state = DomainState::paused;
  if (seen.copy == Copy::ended) view.holding.state = DomainState::shut_off;
  if (seen.copy == Copy::broken) view.holding.state = DomainState::crashed;
  return view;
}

std::size_t index_of(const Seen& seen, bool superseded) {
  return ((seen.phase * 2u + seen.live) * 7 + static_cast<std::size_t>(seen.copy)) * 2 + superseded;
}

// The guest runs at `side`: every other copy of it is an old one from here on.
void age(State& state, Side side) {
  if (state.captured == 0) return;
  if (side != Side::source) state.source.old = 1;
  if (side != Side::destination) state.destination.old = 1;
}

}  // namespace

End& end_of(State& state, Side side) { return side == Side::source ? state.source : state.destination; }

void let_run(State& state, Side side, const char** violation) {
  End& end = end_of(state, side);
  if (end.old && end.copy == Guest::paused) *violation = "an old copy runs: the guest has run elsewhere since";
  end.copy = Guest::running;
  age(state, side);
}

Model::Model(const Rules& rules, const World& world) : rules_(rules), world_(world) {
  std::memset(static_cast<void*>(&s_), 0, sizeof(s_));
}

State Model::first() {
  State state;
  std::memset(static_cast<void*>(&state), 0, sizeof(state));
  state.source.up = state.destination.up = 1;
  state.source.copy = Guest::running;
  return state;
}

const char* Model::broken(const State& state) {
  if (running(state) > 1) return "two hosts run the guest";
  const End& source = state.source;
  const bool left = source.copy != Guest::none && source.engine != Engine::none;
  if (phase_at(source) == Phase::source_done && source.superseded == 0 && left)
    return "the source has finished, and a copy is still there";
  return nullptr;
}

void Model::expand(const State& state, std::vector<Edge>& out) {
  out.clear();
  out_ = &out;
  s_ = state;
  expand_engines();
  expand_source();
  expand_destination();
  expand_faults();
  expand_later_moves();
  expand_by_hand();
}

void Model::emit(Kind kind, const char* who, std::string_view what, const State& next, const char* violation) {
  if (next == s_ && violation == nullptr) return;
  out_->push_back({next, kind, who, what, violation});
}

void Model::emit(Kind kind, const char* who, std::string_view what, const Move& move) {
  emit(kind, who, what, move.next, move.violation);
}

// ---- steps ---------------------------------------------------------------------------

Byte Model::plan_of(const Steps& steps) {
  for (std::size_t i = 0; i < plans_.size(); ++i)
    if (plans_[i] == steps) return static_cast<Byte>(i);
  plans_.push_back(steps);
  return static_cast<Byte>(plans_.size() - 1);
}

void Model::begin(State& state, Side side, Slot slot, const Steps& steps, Line line) {
  Task& task = end_of(state, side).*slot;
  if (steps.empty()) return finish(state, side, slot);
  // Decided while the guest is whole here: one that dies from here on dies with its host, as any.
  const bool keeps = steps.front() == Step::write_aborted || steps.front() == Step::write_reclaimed;
  if (side == Side::source && keeps) state.kept = static_cast<Byte>(whole(state.source));
  task = {At::steps, plan_of(steps), 0, static_cast<Byte>(line), 1};
}

void Model::next_step(State& state, Side side, Slot slot) {
  Task& task = end_of(state, side).*slot;
  const Steps& steps = plans_[task.plan];
  ++task.step;
  const bool over = task.step >= steps.size() || (needs_answer(steps[task.step]) && task.answered == 0);
  if (over) finish(state, side, slot);
}

// The thread has come to its end; whoever asked gets his answer.
void Model::finish(State& state, Side side, Slot slot) {
  End& end = end_of(state, side);
  end.*slot = {};
  if (slot == &End::session) {
    if (works(end.engine)) state.cut = 1;  // the session is closed
    end.word = Word::none;
  }
  if (slot == &End::resolver) end.seen = {};
  if (slot == &End::handler) {
    if (phase_at(end) == Phase::active) state.commit_known = 1;
    if (phase_at(end) == Phase::discarded || phase_at(end) == Phase::none) state.abort_known = 1;
  }
  if (slot != &End::resolver || side != Side::source || state.claim.present == 0) return;
  End& there = state.destination;
  const bool answered = state.source.handler.at == At::waits;
  if (!answered) return;
  state.source.handler = {};
  state.claim = {};
  if (there.resolver.at != At::asks) return;
  there.resolver.at = At::has_view;
  there.seen = see(state.source);
}

Seen Model::see(const End& end) { return {1, end.phase, static_cast<Byte>(live(end)), copy_at(end)}; }

// The ledger: refused, failed, or done.
void Model::write(Side side, Phase to, const char* who, std::string_view what, const State& done,
                  const State& refused) {
  const End& end = side == Side::source ? s_.source : s_.destination;
  const Phase from = phase_at(end);
  if (from == to) return emit(Kind::normal, who, what, done);
  const bool late = rules_.epochs && end.superseded != 0 && from == Phase::source_lost;
  if (late || !rules_.may_follow(from, to)) return emit(Kind::normal, who, what, refused);
  State next = done;
  End& there = end_of(next, side);
  there.phase = there.disk = static_cast<Byte>(to);
  const char* violation = nullptr;
  const bool gives_up = to == Phase::source_aborted || to == Phase::source_reclaimed;
  if (to == Phase::destination_committed) next.kept = 0;
  if (gives_up && from != Phase::source_aborted && s_.kept == 0 && !whole(s_.source) && whole(s_.destination))
    violation = "the source keeps a guest that it has not, and the destination's copy is the only one";
  if (to == Phase::source_lost && whole(s_.destination) && s_.word_given == 0)
    violation = "the guest is called lost, and the destination has it";
  emit(Kind::normal, who, what, next, violation);
  if (s_.disk_failures >= world_.disk_failures) return;
  State fails = refused;
  ++fails.disk_failures;
  emit(Kind::fault, who, "cannot write", fails);
  end_of(fails, side).disk = static_cast<Byte>(to);
  emit(Kind::fault, who, "is told that it could not write, but it is on the disk", fails);
}

Model::Move Model::act(const State& from, Side side, Step step) const {
  Move move{from};
  End& end = end_of(move.next, side);
  const End& other = side == Side::source ? from.destination : from.source;
  if (step == Step::unhold) {
    if (end.copy == Guest::broken) end.copy = Guest::off;
    end.told = 0;
    return move;
  }
  const bool takes = step == Step::release || step == Step::discard;
  if (!takes) {
    if (end.copy == Guest::paused) let_run(move.next, side, &move.violation);
    return move;
  }
  const bool decided = side == Side::destination && from.kept;
  if (end.copy == Guest::paused && whole(end) && !whole(other) && from.elsewhere == 0 && !decided)
    move.violation = "the only whole copy is destroyed";
  end.copy = Guest::none;
  if (works(end.engine)) move.next.cut = 1;
  return move;
}

void Model::expand_steps(Side side, Slot slot, const char* who) {
  const End& end = side == Side::source ? s_.source : s_.destination;
  const Task& task = end.*slot;
  if (task.at != At::steps) return;
  const Step step = plans_[task.plan][task.step];
  State on = s_, ended = s_;
  next_step(on, side, slot);
  finish(ended, side, slot);
  if (const auto phase = phase_of(side, step)) return write(side, *phase, who, to_string(step), on, ended);
  if (step == Step::tell_abort || step == Step::tell_commit) {
    const bool commit = step == Step::tell_commit;
    State unheard = s_;
    (unheard.source.*slot).answered = 0;
    if (task.line == 0) {
      next_step(unheard, side, slot);
      return emit(Kind::normal, who, "has nobody to tell", unheard);
    }
    (commit ? unheard.commit_sent : unheard.abort_sent) = 1;
    (on.source.*slot).answered = 1;
    const bool sent = commit ? s_.commit_sent : s_.abort_sent;
    if (sent && (commit ? s_.commit_known : s_.abort_known)) emit(Kind::normal, who, "hears the answer", on);
    if (!sent) {
      State sends = s_;
      (commit ? sends.commit_sent : sends.abort_sent) = 1;
      return emit(Kind::normal, who, to_string(step), sends);
    }
    next_step(unheard, side, slot);
    return emit(Kind::normal, who, "hears no answer", unheard);
  }
  if (rules_.epochs && touches_copy(step) && end.superseded != 0)
    return emit(Kind::normal, who, "leaves a later migration's copy", ended);
  if (step == Step::unhold && works(end.engine)) return emit(Kind::normal, who, "cannot let go of it yet", ended);
  const bool gone = end.copy == Guest::none || end.copy == Guest::off;
  if (step == Step::discard && works(end.engine)) {
    ended.cut = 1;  // it waits; the session's end breaks what its hypervisor is at
    return emit(Kind::normal, who, "cannot discard yet", ended);
  }
  if (step == Step::activate && (gone || end.copy == Guest::broken)) {
    begin(ended, side, slot, steps_of_missing_copy(), Line::none);
    return emit(Kind::normal, who, "finds no copy to activate", ended);
  }
  const bool behind = end.copy == Guest::broken || end.engine == Engine::following;
  if (behind && (step == Step::activate || step == Step::reclaim || step == Step::release))
    if (end.copy != Guest::broken || step != Step::release)
      return emit(Kind::normal, who, "cannot: its post-copy is broken, or not over", ended);
  if (step == Step::reclaim && gone) return emit(Kind::normal, who, "finds nothing to reclaim", on);
  const bool leaves = end.engine == Engine::leaving || (s_.post_copy != 0 && works(end.engine));
  if (step == Step::release && leaves) return emit(Kind::normal, who, "cannot release yet", ended);
  if (step == Step::release && end.copy == Guest::running) return emit(Kind::normal, who, "cannot release", ended);
  if (step == Step::discard && end.copy == Guest::running) return emit(Kind::normal, who, "cannot discard", ended);
  emit(Kind::normal, who, to_string(step), act(on, side, step));
}

// ---- decisions -----------------------------------------------------------------------

bool Model::may_fence(Side side) const {
  if (world_.fence == Fence::never) return false;
  if (world_.fence == Fence::wrong_word) return true;
  if (world_.fence == Fence::wrong_after_commit) return side == Side::source;
  if (world_.fence == Fence::wrong_at_source)
    return side == Side::source && phase_at(s_.source) != Phase::source_committed;
  if (side == Side::source) return s_.destination.off != 0;
  return s_.source.off != 0 && s_.elsewhere == 0 && s_.destination.old == 0;
}

Action Model::decide(Side side, const Seen& peer, PeerHost host) {
  const End& end = side == Side::source ? s_.source : s_.destination;
  std::vector<Byte>& cache = cache_[side == Side::source ? 0 : 1];
  if (cache.empty()) cache.resize(kViews * (kViews + 1) * 2);
  const Seen own = see(end);
  const bool superseded = rules_.epochs && end.superseded != 0;
  const std::size_t there = peer.present ? index_of(peer, false) + 1 : 0;
  Byte& known = cache[(index_of(own, superseded) * (kViews + 1) + there) * 2 + (host == PeerHost::fenced ? 1 : 0)];
  if (known != 0) return static_cast<Action>(known - 1);
  const auto decision = side == Side::source ? rules_.decide_source : rules_.decide_destination;
  std::optional<EndView> seen;
  if (peer.present) seen = view_of(peer, false);
  const Action action = decision(view_of(own, superseded), seen, host).action;
  known = static_cast<Byte>(static_cast<int>(action) + 1);
  return action;
}

Action Model::decide_for_peer(const Seen& peer) {
  return rules_
      .decide_source_for_peer(view_of(see(s_.source), rules_.epochs && s_.source.superseded != 0), view_of(peer, false))
      .action;
}

}  // namespace vmsec::migration::explorer
