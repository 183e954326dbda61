// The destination's agent: of Model. Its answers take no lock: they run beside its session and its resolve.
#include "model.hpp"

namespace vmsec::migration::explorer {
namespace {

constexpr const char* kSession = "destination's session";
constexpr const char* kResolver = "destination's resolve";
constexpr const char* kAnswer = "destination's answer";

const Steps kGivesUp{Step::write_aborted, Step::discard, Step::write_discarded};
const Steps kRuns{Step::activate, Step::write_active};
const Steps kDiscards{Step::discard, Step::write_discarded};

// What has not been handed over yet is thrown away.
void stop_engine(State& state) {
  End& end = state.destination;
  if (end.engine == Engine::gate) state.answer = Answer::refused;
  if (end.engine == Engine::moving || end.engine == Engine::gate) end.engine = Engine::over;
}

}  // namespace

void Model::expand_destination() {
  const End& end = s_.destination;
  if (end.up == 0) return;
  destination_prepares();
  destination_recovers();
  switch (end.session.at) {
    case At::follows:
      destination_follows();
      break;
    case At::gated:
      destination_gated();
      break;
    case At::waits:
      destination_ends();
      break;
    default:
      expand_steps(Side::destination, &End::session, kSession);
  }
  expand_steps(Side::destination, &End::handler, kAnswer);
  expand_steps(Side::destination, &End::resolver, kResolver);
  destination_hears();
  destination_resolves();
}

void Model::destination_prepares() {
  const End& end = s_.destination;
  if (s_.prepare != Message::sent || phase_at(end) != Phase::none || end.copy != Guest::none) return;
  State next = s_;
  next.prepare = Message::answered;
  next.destination.engine = Engine::moving;
  next.destination.session.at = At::follows;
  State refused = s_;
  refused.prepare = Message::none;
  write(Side::destination, Phase::prepared, kAnswer, "takes PREPARE: write prepared", next, refused);
}

// What is on record stands, and nothing is written.
void Model::destination_recovers() {
  const End& end = s_.destination;
  if (s_.recover != Message::sent || live(end) || end.superseded != 0 || s_.cut == 0) return;
  if (phase_at(end) != Phase::destination_committed || end.engine != Engine::following) return;
  State next = s_;
  next.recover = Message::answered;
  next.destination.session.at = At::follows;
  next.destination.word = Word::none;
  emit(Kind::normal, kAnswer, "takes it up", next);
}

void Model::destination_follows() {
  const End& end = s_.destination;
  State next = s_;
  if (s_.switching == Message::sent && s_.source.engine == Engine::gate && end.engine == Engine::moving) {
    next.switching = Message::answered;
    next.verified = 1;
    emit(Kind::normal, kAnswer, "verifies the manifest", next);
  }
  next = s_;
  if (s_.announced == Message::sent && s_.verified == 0) {
    next.announced = Message::answered;
    emit(Kind::normal, kAnswer, "hears of post-copy", next);
  }
  next = s_;
  // COMMIT was heard, and its gate not passed.
  const bool not_loaded = phase_at(end) == Phase::destination_gated && s_.announced == Message::answered &&
                          s_.verified == 0 && s_.runs == 0;
  if (phase_at(end) == Phase::prepared || not_loaded) {
    stop_engine(next);
    begin(next, Side::destination, &End::session, kGivesUp, Line::none);
    emit(Kind::normal, kSession, "gives up: cut, changed bytes, or nothing moves", next);
  } else {
    destination_ends();
  }
  next = s_;
  next.destination.word = Word::none;
  switch (end.word) {
    case Word::gate:
      if (s_.verified == 0) return destination_follows_commit();
      next.destination.session.at = At::gated;
      if (rules_.gate == Order::write_first)
        return write(Side::destination, Phase::destination_gated, kSession, "write gated", next, s_);
      if (end.engine == Engine::gate) next.destination.engine = Engine::handed;
      return emit(Kind::normal, kSession, "tells the hypervisor to load", next);
    case Word::done:
      if (s_.runs != 0) {
        begin(next, Side::destination, &End::session, kRuns, Line::none);
        return emit(Kind::normal, kSession, "hears that it runs, and is whole", next);
      }
      next.destination.session.at = At::waits;
      return write(Side::destination, Phase::loaded, kSession, "write loaded", next, next);
    case Word::failed:
      if (s_.runs != 0) {
        finish(next, Side::destination, &End::session);
        return write(Side::destination, Phase::destination_lost, kSession, "write lost", next, next);
      }
      begin(next, Side::destination, &End::session, kGivesUp, Line::none);
      return emit(Kind::normal, kSession, "hears that it failed", next);
    case Word::doubt:
      finish(next, Side::destination, &End::session);
      return emit(Kind::normal, kSession, "hears that its memory does not follow: in doubt", next);
    default:
      return;
  }
}

// The last chance to give up is before `committed` is on record.
void Model::destination_follows_commit() {
  if (phase_at(s_.destination) != Phase::destination_gated) return;
  State next = s_;
  next.destination.word = Word::none;
  State gives_up = next;
  stop_engine(gives_up);
  begin(gives_up, Side::destination, &End::session, kGivesUp, Line::none);
  next.destination.session.at = At::gated;
  next.runs = 1;
  write(Side::destination, Phase::destination_committed, kSession, "write committed", next, gives_up);
}

void Model::destination_gated() {
  State next = s_;
  next.destination.session.at = At::follows;
  if (rules_.gate == Order::act_first)
    return write(Side::destination, Phase::destination_gated, kSession, "write gated", next, next);
  if (s_.destination.engine != Engine::gate) return emit(Kind::normal, kSession, "finds its hypervisor gone", next);
  next.destination.engine = Engine::handed;
  emit(Kind::normal, kSession, "tells the hypervisor to load", next);
}

// It waits no longer, or the decision has come.
void Model::destination_ends() {
  State next = s_;
  if (phase_at(s_.destination) != Phase::destination_aborted) {
    finish(next, Side::destination, &End::session);
    return emit(Kind::normal, kSession, "ends", next);
  }
  stop_engine(next);
  if (next.destination.engine == Engine::handed) return;
  begin(next, Side::destination, &End::session, kDiscards, Line::none);
  emit(Kind::normal, kSession, "ends, aborted", next);
}

void Model::destination_hears() {
  const End& end = s_.destination;
  if (end.handler.at != At::idle) return;
  const Phase phase = phase_at(end);
  State next = s_;
  const Seen own = see(end);
  EndView view{phase, own.live != 0, true, {}, false};
  view.holding.present = own.copy != Copy::none;
  view.holding.migrating = own.copy == Copy::busy;
  view.holding.state = own.copy == Copy::stopped ? DomainState::paused : DomainState::shut_off;
  const bool first = live(end) && s_.announced == Message::answered && s_.verified == 0;
  if (s_.commit_sent && first && phase == Phase::prepared && end.session.at == At::follows)
    write(Side::destination, Phase::destination_gated, kAnswer, "takes COMMIT before it loads: write gated", s_, s_);
  if (s_.commit_sent && rules_.takes_commit(view) && (!first || phase == Phase::active)) {
    begin(next, Side::destination, &End::handler, rules_.steps_of_commit(phase), Line::none);
    emit(Kind::normal, kAnswer, "takes COMMIT", next);
  }
  next = s_;
  if (s_.abort_sent == 0) return;
  const Steps steps = phase == Phase::none ? Steps{} : rules_.steps_of_abort(phase);
  begin(next, Side::destination, &End::handler, steps, Line::none);
  emit(Kind::normal, kAnswer, "takes ABORT", next);
}

void Model::destination_resolves() {
  const End& end = s_.destination;
  const Phase phase = phase_at(end);
  State next = s_;
  if (end.resolver.at == At::idle) {
    if (phase == Phase::none || is_final(phase) || live(end)) return;
    next.destination.resolver.at = At::asks;
    next.claim = see(end);
    return emit(Kind::recovery, "operator at the destination:", "resolve", next);
  }
  if (end.resolver.at == At::asks) {
    next.destination.resolver.at = At::has_view;
    emit(Kind::normal, kResolver, "hears nothing from the source", next);
    if (!world_.liar || s_.claim.present == 0) return;
    next = s_;
    next.claim = {1, static_cast<Byte>(Phase::active), 0, Copy::running};
    emit(Kind::fault, kResolver, "lies: it runs here", next);
    next.claim = {1, static_cast<Byte>(Phase::destination_lost), 0, Copy::none};
    return emit(Kind::fault, kResolver, "lies: it is lost", next);
  }
  if (end.resolver.at != At::has_view) return;
  for (const PeerHost host : {PeerHost::standing, PeerHost::fenced}) {
    const bool fenced = host == PeerHost::fenced;
    if (fenced && (end.seen.present || !may_fence(Side::destination))) continue;
    next = s_;
    const Action action = decide(Side::destination, end.seen, host);
    if (fenced && action != decide(Side::destination, end.seen, PeerHost::standing)) next.word_given = 1;
    begin(next, Side::destination, &End::resolver, rules_.steps_of(Side::destination, action, phase), Line::none);
    if (fenced && next.word_given == s_.word_given) continue;
    emit(fenced ? Kind::fault : Kind::normal, kResolver, fenced ? "believes that the source is off" : "decides", next);
  }
}

}  // namespace vmsec::migration::explorer
