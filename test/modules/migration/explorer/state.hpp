// What the model knows of the world: two ends, what is between them, and what an onlooker remembers.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "ownership.hpp"

namespace vmsec::migration::explorer {

using Byte = std::uint8_t;

// broken: of a post-copy that has failed. It can go on nowhere.
enum class Guest : Byte { none, running, paused, off, broken };
// A hypervisor's own part of the transfer. It goes on when its agent has died.
enum class Engine : Byte {
  none,
  moving,
  gate,
  handed,     // source awaits the answer, destination loads
  leaving,    // source: its copy is dead, what is left of it is being cleared away
  following,  // destination: it runs, and not all of its memory is there. With the line cut: for ever
  over,
};
enum class Word : Byte { none, gate, done, failed, doubt };  // an event that the agent has not taken yet
enum class Answer : Byte { none, loaded, refused };          // the destination's hypervisor to the source's
enum class Message : Byte { none, sent, answered };

// Where a thread of an agent is.
enum class At : Byte {
  idle,
  asks,       // source's session: PREPARE; a resolver: the other end's view
  follows,    // a session: its hypervisor's events
  switches,   // source's session: SWITCH
  announces,  // source's session: SWITCH, for post-copy
  begins,     // source's session: post-copy is announced, `gated` is written, the hypervisor not yet told
  commits,    // source's session: COMMIT is to be written, or is written and the hypervisor not yet told
  recovers,   // source's session: PREPARE, of a post-copy that has broken
  gated,      // a session: `gated` is to be written, or is written and the hypervisor not yet told
  waits,      // destination's session: loaded
  has_view,   // a resolver
  steps,
};

struct Task {
  At at;
  Byte plan;  // of Plans
  Byte step;
  Byte line;      // the other end can be told
  Byte answered;  // it was told, and has answered
};

struct Seen {
  Byte present;
  Byte phase;
  Byte live;
  Copy copy;
};

struct End {
  Byte phase;  // what the agent takes its record for
  Byte disk;   // what a restart would find
  Byte up;     // the agent
  Byte off;    // the host has no power
  Byte superseded;
  Guest copy;
  Byte old;   // the guest ran elsewhere since
  Byte told;  // the agent knows that it is off because it was killed when it had left
  Engine engine;
  Word word;
  Byte starting;  // decide_at_start is still to be done
  Task session;
  Task resolver;
  Task handler;  // destination: COMMIT or ABORT
  Seen seen;     // what the resolver was told
};

struct State {
  End source;
  End destination;
  Byte cut;     // the hypervisors' own conversation
  Byte finish;  // the source's hypervisor has handed over
  Answer answer;
  Byte captured;      // the guest was stopped for the move
  Byte post_copy;     // has begun: the source's copy can never go on, whatever comes
  Message announced;  // answered: the destination takes COMMIT before it loads, until a manifest comes
  Byte runs;          // the destination's hypervisor was told so
  Byte verified;
  Message prepare;
  Message recover;  // PREPARE once more, of a post-copy that has broken
  Message switching;
  Byte commit_sent;  // a message that was sent may arrive never, later, and again
  Byte abort_sent;
  Byte commit_known;  // its answer
  Byte abort_known;
  Seen claim;       // RESOLVE, on its way or at the source
  Byte elsewhere;   // a third host runs the guest
  Byte kept;        // the source had a whole copy when it decided to keep it
  Byte word_given;  // --fenced was believed, at either end
  Byte disk_failures;

  friend bool operator==(const State& a, const State& b) { return std::memcmp(&a, &b, sizeof(State)) == 0; }
};
static_assert(std::has_unique_object_representations_v<State>);

inline Phase phase_at(const End& end) { return static_cast<Phase>(end.phase); }
inline bool works(Engine engine) { return engine != Engine::none && engine != Engine::over; }
inline bool whole(const End& end) {
  return !end.old && end.engine != Engine::following && (end.copy == Guest::running || end.copy == Guest::paused);
}
inline bool live(const End& end) { return end.session.at != At::idle; }
inline int running(const State& s) {
  return int{s.source.copy == Guest::running} + int{s.destination.copy == Guest::running} + int{s.elsewhere};
}

}  // namespace vmsec::migration::explorer
