// Failures at every step: exactly one side runs the guest, and its memory is right.
#include <sys/wait.h>

#include <random>

#include "sim_fixture.hpp"

using namespace vmsec;
using namespace vmsec::sim;

namespace {

const Uuid kVm = uuid_of(1);
const PageContent kContent{1, {}};

void require_whole(const TestHost& host) {
  REQUIRE(state_of(host, kVm) == DomainState::running);
  const auto tick = tick_of(host, kVm);
  CHECK(eventually([&] { return tick_of(host, kVm) > tick; }));
  REQUIRE(host.control().pause({kVm}));
  CHECK(picture_of(host, kVm, kContent).wrong == 0);
  REQUIRE(host.control().resume({kVm}));
}

// What `vmsec migrate resolve` does where nobody has written COMMIT: the source
// keeps the guest, unless it let go of it.
void resolve(const Move& move) {
  Migration& source = move.source.migration();
  Migration& destination = move.destination.migration();
  REQUIRE(source.holding(move.ref));
  if (source.holding(move.ref)->present) {
    REQUIRE(destination.discard(move.ref));
    REQUIRE(source.reclaim(move.ref));
  } else {
    REQUIRE(destination.activate(move.ref));
    REQUIRE(source.release(move.ref));
  }
}

void require_exactly_one(TestHost& a, TestHost& b) {
  const bool at_a = state_of(a, kVm) == DomainState::running;
  CHECK(at_a != (state_of(b, kVm) == DomainState::running));
  require_whole(at_a ? a : b);
  CHECK(state_of(at_a ? b : a, kVm) == DomainState::unknown);
}

}  // namespace

TEST_CASE("wherever a channel breaks, exactly one side runs the guest, and its memory is right") {
  constexpr int kRuns = 30;
  std::mt19937 random(20101);
  TempDir root;
  TestHost a(root, "a");
  TestHost b(root, "b");
  a.file("vm-1", domain_text(1, "dirty_rate = 5000\nfill = 0.6"));
  a.start();
  b.start();
  std::map<SessionEventKind, int> ends;
  for (int i = 0; i < kRuns; ++i) {
    const bool at_a = state_of(a, kVm) == DomainState::running;
    Move move(at_a ? a : b, at_a ? b : a, kVm);
    move.options.bulk_channels = random() % 3;
    const ChannelKind kind = std::array{ChannelKind::control, ChannelKind::main, ChannelKind::bulk}[random() % 3];
    // The talk on the control channel is about 200 bytes: break it everywhere.
    move.breaks[kind] = kind == ChannelKind::control ? random() % 260 : random() % (8u << 20);
    INFO("run " << i << ", kind " << static_cast<int>(kind) << " after " << move.breaks[kind]);
    move.run();
    INFO(move.sent.detail << " / " << move.received.detail);
    ++ends[move.sent.kind];
    REQUIRE(move.sent.kind != SessionEventKind::none);
    REQUIRE(move.received.kind != SessionEventKind::none);
    // Nobody is asked yet: never do both run.
    CHECK_FALSE((state_of(a, kVm) == DomainState::running && state_of(b, kVm) == DomainState::running));
    if (move.sent.kind == SessionEventKind::failed) require_whole(move.source);
    if (move.sent.kind == SessionEventKind::doubt) {
      CHECK(state_of(move.source, kVm) == DomainState::paused);
      CHECK(move.source.control().resume({kVm}).error().code == Code::wrong_state);
    }
    resolve(move);
    require_exactly_one(a, b);
  }
  CHECK(ends[SessionEventKind::failed] > 0);
  CHECK(ends[SessionEventKind::done] > 0);
}

TEST_CASE("a source that does not learn the answer stays paused until it is resolved") {
  TempDir root;
  TestHost a(root, "a");
  TestHost b(root, "b");
  a.file("vm-1", domain_text(1, "dirty_rate = 1000"));
  a.start();
  b.start();
  Move move(a, b, kVm);
  // The destination has it all, and the word came; then the control channel breaks.
  move.at_destination_gate = [&] {
    for (auto& pump : move.pumps) pump->cut();
    eventually([&] { return a.migration().holding(move.ref)->migrating == false; });
    return true;
  };
  move.run();
  CHECK(move.sent.kind == SessionEventKind::doubt);
  CHECK(move.received.kind == SessionEventKind::failed);
  CHECK(state_of(a, kVm) == DomainState::paused);
  CHECK(a.control().resume({kVm}).error().code == Code::wrong_state);
  CHECK(a.migration().start({uuid_of(201), kVm, {}}).error().code == Code::already_exists);
  move.close();
  CHECK(a.migration().start({uuid_of(201), kVm, {}}).error().code == Code::wrong_state);

  SECTION("the source takes it back") {
    REQUIRE(a.migration().reclaim(move.ref));
    REQUIRE(a.migration().reclaim(move.ref));
    require_whole(a);
  }
  SECTION("after a restart it does not start by itself") {
    a.start();
    CHECK(state_of(a, kVm) == DomainState::shut_off);
    CHECK(a.migration().holding(move.ref)->present);
    CHECK(a.control().resume({kVm}).error().code == Code::wrong_state);
    REQUIRE(a.migration().reclaim(move.ref));
    require_whole(a);
  }
  SECTION("it lets go, once and again, and a restart does not bring it back") {
    REQUIRE(a.migration().release(move.ref));
    REQUIRE(a.migration().release(move.ref));
    CHECK_FALSE(a.migration().holding(move.ref)->present);
    a.start();
    CHECK_FALSE(a.migration().holding(move.ref)->present);
  }
}

TEST_CASE("hold, activate, discard and release can be repeated") {
  TempDir root;
  TestHost a(root, "a");
  a.file("vm-1", domain_text(1, "dirty_rate = 100"));
  a.start();
  const SessionRef ref{uuid_of(200), kVm};
  const SessionRef stranger{uuid_of(200), uuid_of(9)};
  CHECK(a.migration().hold(stranger).error().code == Code::not_found);
  CHECK(a.migration().activate(stranger).error().code == Code::not_found);
  CHECK(a.migration().reclaim(stranger).error().code == Code::not_found);
  CHECK(a.migration().discard(stranger));
  CHECK(a.migration().release(stranger));
  CHECK(a.migration().discard(ref).error().code == Code::wrong_state);
  CHECK(a.migration().release(ref).error().code == Code::wrong_state);

  REQUIRE(a.control().pause({kVm}));
  REQUIRE(a.migration().hold(ref));
  REQUIRE(a.migration().hold(ref));
  CHECK(a.control().resume({kVm}).error().code == Code::wrong_state);
  REQUIRE(a.migration().activate(ref));
  require_whole(a);
  REQUIRE(a.control().pause({kVm}));
  REQUIRE(a.migration().discard(ref));
  REQUIRE(a.migration().discard(ref));
  CHECK_FALSE(a.migration().holding(ref)->present);
}

TEST_CASE("a stream that is cut on demand fails once, and the next migration is whole") {
  const std::string where = GENERATE("control:20", "main:100000", "bulk/1:65536");
  TempDir root;
  TestHost a(root, "a");
  TestHost b(root, "b");
  (where.starts_with("control") ? b : a).options.settings["fault.stream.cut"] = where;
  a.file("vm-1", domain_text(1, "dirty_rate = 1000"));
  a.start();
  b.start();
  for (int i = 0; i < 2; ++i) {
    Move move(a, b, kVm);
    move.options.bulk_channels = where.starts_with("bulk") ? 2 : 0;
    move.run();
    INFO(where << ": " << move.sent.detail << " / " << move.received.detail);
    if (i == 1) {
      CHECK(move.sent.kind == SessionEventKind::done);
      continue;
    }
    CHECK(move.sent.kind == SessionEventKind::failed);
    CHECK(move.received.kind == SessionEventKind::failed);
    require_whole(a);
  }
}

TEST_CASE("a host that is closed in mid-migration keeps its guest, and the other has nothing") {
  TempDir root;
  TestHost a(root, "a");
  TestHost b(root, "b");
  a.file("vm-1", domain_text(1, "dirty_rate = 1000"));
  a.start();
  b.start();
  {
    Move move(a, b, kVm);
    move.options.bandwidth = {1u << 20};
    REQUIRE(move.begin());
    move.close();
  }
  require_whole(a);
  CHECK(state_of(b, kVm) == DomainState::unknown);
}

#if !defined(__SANITIZE_THREAD__)
namespace {

// A host of its own process, driven through its standard input and output: one
// byte in per call that it waits for. It dies where `die` says.
int run_in_child(const std::function<void()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("wherever a host's process dies, at most one host may run the guest after the restart") {
  const std::string step =
      GENERATE("source.begin", "source.iteration", "source.stopped", "source.decided", "source.held",
               "source.finish_sent", "source.loaded", "source.released", "destination.begin", "destination.received",
               "destination.decided", "destination.recorded", "destination.loaded", "destination.answered");
  INFO(step);
  TempDir root;
  TestHost a(root, "a");
  TestHost b(root, "b");
  a.file("vm-1", domain_text(1, "dirty_rate = 1000"));
  // Both hosts die together here, which is the harder case: neither has its RAM.
  const int status = run_in_child([&] {
    (step.starts_with("source") ? a : b).options.settings["fault.die"] = step;
    if (!a.try_start() || !b.try_start()) ::_exit(1);
    Move move(a, b, kVm);
    if (!move.begin()) ::_exit(2);
    move.finish();
  });
  REQUIRE(status == Faults::kDeathStatus);
  a.start();
  b.start();
  const bool at_a = state_of(a, kVm) == DomainState::running;
  const bool at_b = state_of(b, kVm) == DomainState::running;
  // Nobody activated it: the destination never runs it by itself.
  CHECK_FALSE(at_b);
  // Until the word left, the source boots it; afterwards it waits for a resolution.
  const bool before_the_word = step == "source.begin" || step == "source.iteration" || step == "source.stopped" ||
                               step == "source.decided" || step == "destination.begin";
  CHECK(at_a == before_the_word);
  Move resolved(a, b, kVm);
  resolve(resolved);
  require_exactly_one(a, b);
}
#endif
