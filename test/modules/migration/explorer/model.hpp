// All that can happen next. Protocol decisions are Rules; the sessions' order and the hypervisors are modelled.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "rules.hpp"
#include "state.hpp"

namespace vmsec::migration::explorer {

enum class Kind : Byte {
  normal,    // goes on by itself
  recovery,  // an operator or a service manager: start an agent, resolve, what the documents tell to do by hand
  fault,     // and what is not needed to recover: a migration's begin, a word, a further migration
};

struct Edge {
  State next;
  Kind kind;
  const char* who;
  std::string_view what;
  const char* violation;  // null: none
};

class Model {
 public:
  Model(const Rules& rules, const World& world);
  [[nodiscard]] static State first();
  // Replaces `out`.
  void expand(const State& state, std::vector<Edge>& out);
  // Of a state: null where all is well.
  [[nodiscard]] static const char* broken(const State& state);

 private:
  enum class Line : Byte { none, open };
  struct Move {
    State next;
    const char* violation = nullptr;
  };
  static constexpr std::size_t kViews = 29 * 2 * 2 * 7;

  void emit(Kind kind, const char* who, std::string_view what, const State& next, const char* violation = nullptr);
  void emit(Kind kind, const char* who, std::string_view what, const Move& move);

  // ---- the hypervisors, and what breaks
  void expand_engines();
  void expand_source_engine();
  void expand_destination_engine();
  void expand_faults();
  void expand_guest_faults();
  void expand_load_to_run();
  void end_begun_post_copy();
  void expand_later_moves();
  void expand_by_hand();
  void crash(Side side);

  // ---- the source
  void expand_source();
  void source_asks();
  void source_follows();
  void source_switches();
  void source_gated();
  void source_announces();
  void source_begins();
  void source_commits();
  void source_recovers();
  void source_starts();
  void source_answers();
  void source_resolves();

  // ---- the destination
  void expand_destination();
  void destination_prepares();
  void destination_recovers();
  void destination_follows();
  void destination_gated();
  void destination_follows_commit();
  void destination_ends();
  void destination_hears();
  void destination_resolves();

  // ---- both
  using Slot = Task End::*;
  void expand_steps(Side side, Slot slot, const char* who);
  void write(Side side, Phase to, const char* who, std::string_view what, const State& done, const State& refused);
  Move act(const State& from, Side side, Step step) const;
  void next_step(State& state, Side side, Slot slot);
  void begin(State& state, Side side, Slot slot, const Steps& steps, Line line);
  void finish(State& state, Side side, Slot slot);
  [[nodiscard]] Byte plan_of(const Steps& steps);
  [[nodiscard]] static Seen see(const End& end);
  [[nodiscard]] bool may_fence(Side side) const;
  [[nodiscard]] Action decide(Side side, const Seen& peer, PeerHost host);
  [[nodiscard]] Action decide_for_peer(const Seen& peer);

  const Rules rules_;
  const World world_;
  std::vector<Steps> plans_;
  std::vector<Byte> cache_[3];
  std::vector<Edge>* out_ = nullptr;
  State s_;  // the state that is expanded
};

// What happens to copies, and whether it may.
void let_run(State& state, Side side, const char** violation);
End& end_of(State& state, Side side);

}  // namespace vmsec::migration::explorer
