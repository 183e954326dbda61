// The source's agent: of Model.
#include "model.hpp"

namespace vmsec::migration::explorer {
namespace {

constexpr const char* kSession = "source's session";
constexpr const char* kResolver = "source's resolve";
constexpr const char* kStart = "source's agent, starting,";

const Steps kCommitted{Step::write_committed, Step::tell_commit, Step::release, Step::write_done};
const Steps kFollowed{Step::tell_commit, Step::release, Step::write_done};
const Steps kFailed{Step::write_reclaimed, Step::tell_abort, Step::write_failed};

bool copy_is_broken(const End& end) { return end.copy == Guest::broken && !works(end.engine); }

// The hypervisor is told to give up, or notices: its guest goes on.
void give_up(State& state, const char** violation) {
  End& source = state.source;
  // Until its hypervisor is at its gate the guest goes on.
  if (source.engine == Engine::moving) state.post_copy = 0;
  source.engine = Engine::over;
  source.word = state.post_copy != 0 ? Word::doubt : Word::failed;
  if (state.post_copy != 0) source.copy = Guest::broken;
  if (source.copy == Guest::paused) let_run(state, Side::source, violation);
}

}  // namespace

void Model::expand_source() {
  const End& source = s_.source;
  if (source.up == 0) return;
  if (phase_at(source) == Phase::none && !live(source) && source.copy == Guest::running) {
    State next = s_;
    next.source.session.at = At::asks;
    next.prepare = Message::sent;
    write(Side::source, Phase::started, "operator at the source: migrate:", "write started", next, s_);
    if (out_->back().what == "write started") out_->back().kind = Kind::fault;
  }
  switch (source.session.at) {
    case At::asks:
      source_asks();
      break;
    case At::follows:
      source_follows();
      break;
    case At::switches:
      source_switches();
      break;
    case At::gated:
      source_gated();
      break;
    case At::announces:
      source_announces();
      break;
    case At::begins:
      source_begins();
      break;
    case At::commits:
      source_commits();
      break;
    case At::recovers:
      source_recovers();
      break;
    default:
      expand_steps(Side::source, &End::session, kSession);
  }
  expand_steps(Side::source, &End::resolver, kResolver);
  if (world_.recovers && !live(source) && source.resolver.at == At::idle && source.superseded == 0 &&
      phase_at(source) == Phase::source_committed && copy_is_broken(source)) {
    State next = s_;
    next.source.session.at = At::recovers;
    next.recover = Message::sent;
    emit(Kind::fault, "operator at the source:", "recover", next);
  }
  source_starts();
  source_answers();
  source_resolves();
}

void Model::source_asks() {
  State next = s_;
  if (s_.prepare == Message::answered && s_.source.copy == Guest::running) {
    next.source.engine = Engine::moving;
    next.source.session = {At::follows, 0, 0, 0, 0};
    emit(Kind::normal, kSession, "hears that the destination is prepared: starts", next);
  }
  next = s_;
  begin(next, Side::source, &End::session, kFailed, Line::open);
  emit(Kind::normal, kSession, "hears that PREPARE is refused, or nothing: gives up", next);
}

void Model::source_follows() {
  State next = s_;
  next.source.word = Word::none;
  switch (s_.source.word) {
    case Word::gate:
      if (s_.post_copy != 0) {
        next.source.session.at = At::commits;
        return emit(Kind::normal, kSession, "is at the gate of a post-copy", next);
      }
      next.source.session.at = At::switches;
      next.switching = Message::sent;
      return emit(Kind::normal, kSession, "asks for the switch-over", next);
    case Word::done:
      begin(next, Side::source, &End::session, phase_at(s_.source) == Phase::source_committed ? kFollowed : kCommitted,
            Line::open);
      return emit(Kind::normal, kSession, "hears that the guest has left", next);
    case Word::failed: {
      if (phase_at(s_.source) == Phase::source_committed) {
        finish(next, Side::source, &End::session);
        return emit(Kind::normal, kSession, "hears that it failed after COMMIT: in doubt", next);
      }
      const Seen own = see(s_.source);
      EndView view{static_cast<Phase>(own.phase), false, true, {}, false};
      view.holding.present = own.copy != Copy::none;
      view.holding.state = own.copy == Copy::ended     ? DomainState::shut_off
                           : own.copy == Copy::stopped ? DomainState::paused
                           : own.copy == Copy::broken  ? DomainState::crashed
                                                       : DomainState::running;
      if (rules_.decide_failed(view).action == Action::abort)
        begin(next, Side::source, &End::session, kFailed, Line::open);
      else
        finish(next, Side::source, &End::session);
      return emit(Kind::normal, kSession, "hears that it failed", next);
    }
    case Word::doubt:
      finish(next, Side::source, &End::session);
      return emit(Kind::normal, kSession, "hears that nobody knows: in doubt", next);
    case Word::none:
      break;
  }
  if (s_.source.engine == Engine::moving) {
    if (world_.post_copy && s_.announced == Message::none) {
      next.source.session.at = At::announces;
      next.announced = Message::sent;
      emit(Kind::normal, kSession, "announces post-copy", next);
    }
    Move move{s_};
    give_up(move.next, &move.violation);
    emit(Kind::normal, kSession, "cancels: aborted by hand, or nothing moves", move);
  }
  if (s_.source.engine == Engine::handed) {
    finish(next, Side::source, &End::session);
    emit(Kind::normal, kSession, "waits no longer: in doubt", next);
  }
}

void Model::source_switches() {
  Move refuse{s_};
  refuse.next.source.session.at = At::follows;
  if (s_.source.engine == Engine::gate) give_up(refuse.next, &refuse.violation);
  if (s_.source.engine != Engine::gate) return emit(Kind::normal, kSession, "finds its hypervisor gone", refuse);
  emit(Kind::normal, kSession, "refuses: no answer, aborted by hand, or evidence too old", refuse);
  if (s_.switching != Message::answered) return;
  State next = s_;
  next.source.session.at = At::gated;
  if (rules_.gate == Order::act_first) {
    next.source.engine = Engine::handed;
    next.finish = 1;
    return emit(Kind::normal, kSession, "tells the hypervisor to proceed", next);
  }
  write(Side::source, Phase::source_gated, kSession, "write gated", next, refuse.next);
}

void Model::source_gated() {
  Move move{s_};
  move.next.source.session.at = At::follows;
  if (rules_.gate == Order::act_first)
    return write(Side::source, Phase::source_gated, kSession, "write gated", move.next, move.next);
  if (rules_.commit_at_gate && phase_at(s_.source) == Phase::source_gated)
    return write(Side::source, Phase::source_committed, kSession, "write committed", s_, s_);
  if (s_.source.engine != Engine::gate) return emit(Kind::normal, kSession, "finds its hypervisor gone", move);
  if (s_.cut != 0) {
    give_up(move.next, &move.violation);
    return emit(Kind::normal, kSession, "tells the hypervisor to proceed, which finds the line cut", move);
  }
  move.next.source.engine = Engine::handed;
  move.next.finish = 1;
  emit(Kind::normal, kSession, "tells the hypervisor to proceed", move);
}

void Model::source_announces() {
  const bool there = s_.source.engine == Engine::moving || s_.source.engine == Engine::gate;
  Move refuse{s_};
  refuse.next.source.session.at = At::follows;
  if (there) give_up(refuse.next, &refuse.violation);
  emit(Kind::normal, kSession, "does not begin: no answer, refused, or evidence too old", refuse);
  if (s_.announced != Message::answered) return;
  State next = s_;
  next.source.session.at = At::begins;
  write(Side::source, Phase::source_gated, kSession, "write gated", next, refuse.next);
}

void Model::source_begins() {
  Move move{s_};
  State& next = move.next;
  next.source.session.at = At::follows;
  if (s_.source.engine == Engine::gate && !rules_.post_copy_is_seen) {
    next.source.session.at = At::commits;
    next.source.word = Word::none;
    return emit(Kind::normal, kSession, "asks for post-copy, and takes it for begun", move);
  }
  if (s_.source.engine != Engine::moving) return emit(Kind::normal, kSession, "is too late for post-copy", move);
  Move fails = move;
  give_up(fails.next, &fails.violation);
  emit(Kind::normal, kSession, "cannot begin post-copy: cancels", fails);
  next.post_copy = next.captured = 1;
  next.source.copy = Guest::paused;
  emit(Kind::normal, kSession, "begins post-copy: the guest stands still", move);
}

// COMMIT is on record before the destination may load what then runs at once.
void Model::source_commits() {
  Move move{s_};
  move.next.source.session.at = At::follows;
  const bool there = s_.source.engine == Engine::gate;
  if (phase_at(s_.source) != Phase::source_committed) {
    State next = s_;
    if (there) give_up(move.next, &move.violation);
    return write(Side::source, Phase::source_committed, kSession, "write committed", next, move.next);
  }
  if (s_.commit_sent == 0) {
    State next = s_;
    next.commit_sent = 1;
    return emit(Kind::normal, kSession, "tell COMMIT, before it is loaded", next);
  }
  if (!there) return emit(Kind::normal, kSession, "finds its hypervisor gone", move);
  if (s_.cut != 0) {
    give_up(move.next, &move.violation);
    return emit(Kind::normal, kSession, "tells the hypervisor to proceed, which finds the line cut", move);
  }
  move.next.source.engine = Engine::handed;
  move.next.finish = 1;
  emit(Kind::normal, kSession, "tells the hypervisor to proceed, whether or not COMMIT was heard", move);
}

// Its hypervisor's gate is passed at once: all is decided.
void Model::source_recovers() {
  State next = s_;
  finish(next, Side::source, &End::session);
  emit(Kind::normal, kSession, "does not take it up: no answer, refused, or evidence too old", next);
  next = s_;
  const bool there = s_.destination.engine == Engine::following && live(s_.destination) && s_.cut != 0;
  if (s_.recover != Message::answered || !there || !copy_is_broken(s_.source)) return;
  next.source.session.at = At::follows;
  next.source.engine = Engine::handed;
  next.answer = Answer::none;
  next.cut = 0;
  emit(Kind::normal, kSession, "takes it up: the memory follows again", next);
}

// LeftOver: once, when the agent was started; again as long as it is to wait.
void Model::source_starts() {
  if (s_.source.starting == 0 || s_.source.resolver.at != At::idle || live(s_.source)) return;
  const Seen own = see(s_.source);
  if (own.copy == Copy::busy) return;
  EndView view{static_cast<Phase>(own.phase), false, true, {}, s_.source.superseded != 0};
  view.holding.present = own.copy != Copy::none;
  if (own.copy == Copy::running) view.holding.state = DomainState::running;
  if (own.copy == Copy::stopped) view.holding.state = DomainState::paused;
  if (own.copy == Copy::ended) view.holding.state = DomainState::shut_off;
  if (own.copy == Copy::broken) view.holding.state = DomainState::crashed;
  State next = s_;
  next.source.starting = 0;
  if (rules_.decide_at_start(view).action == Action::abort)
    begin(next, Side::source, &End::resolver, steps_at_start(own.copy), Line::none);
  emit(Kind::normal, kStart, "decides by what is here", next);
}

// RESOLVE: settles first, if nobody else is at it, then tells what is here.
void Model::source_answers() {
  if (s_.claim.present == 0 || s_.source.resolver.at != At::idle || s_.source.handler.at != At::idle) return;
  State next = s_;
  next.source.handler.at = At::waits;
  const bool settles = !live(s_.source) && phase_at(s_.source) != Phase::none;
  const Action action = settles ? decide_for_peer(s_.claim) : Action::nothing;
  begin(next, Side::source, &End::resolver, rules_.steps_of(Side::source, action, phase_at(s_.source)), Line::none);
  emit(Kind::normal, "source, asked by the destination,", "settles what it can", next);
}

void Model::source_resolves() {
  const End& source = s_.source;
  const Phase phase = phase_at(source);
  State next = s_;
  if (source.resolver.at == At::idle) {
    const bool open = phase != Phase::none && (!is_final(phase) || phase == Phase::source_lost);
    if (!open || live(source)) return;
    next.source.resolver.at = At::asks;
    return emit(Kind::recovery, "operator at the source:", "resolve", next);
  }
  if (source.resolver.at == At::asks) {
    next.source.resolver.at = At::has_view;
    emit(Kind::normal, kResolver, "hears nothing from the destination", next);
    if (s_.destination.up == 0) return;
    next.source.seen = see(s_.destination);
    emit(Kind::normal, kResolver, "hears what the destination has", next);
    if (!world_.liar) return;
    next.source.seen = {1, static_cast<Byte>(Phase::active), 0, Copy::running};
    return emit(Kind::normal, kResolver, "hears a lie: the destination runs it", next);
  }
  if (source.resolver.at != At::has_view) return;
  for (const PeerHost host : {PeerHost::standing, PeerHost::fenced}) {
    const bool fenced = host == PeerHost::fenced;
    if (fenced && (source.seen.present || !may_fence(Side::source))) continue;
    next = s_;
    const Action action = decide(Side::source, source.seen, host);
    if (fenced && action != decide(Side::source, source.seen, PeerHost::standing)) next.word_given = 1;
    begin(next, Side::source, &End::resolver, rules_.steps_of(Side::source, action, phase),
          source.seen.present ? Line::open : Line::none);
    if (fenced && next.word_given == s_.word_given) continue;
    emit(fenced ? Kind::fault : Kind::normal, kResolver, fenced ? "believes that the destination is off" : "decides",
         next);
  }
}

}  // namespace vmsec::migration::explorer
