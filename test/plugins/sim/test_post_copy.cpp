// A guest that runs at its destination while its memory follows.
#include <sys/wait.h>

#include <set>

#include "faults.hpp"
#include "sim_fixture.hpp"

using namespace vmsec;
using namespace vmsec::sim;

namespace {

// It never converges: its memory is written faster than any downtime allows.
struct Following {
  explicit Following(Microseconds downtime = {1}) {
    a.file("vm-1", domain_text(1, "pattern = \"uniform\"\ndirty_rate = 20000\nfill = 0.9"));
    a.start();
    b.start();
    move.options.post_copy = true;
    move.options.maximum_downtime = downtime;
    move.options.bandwidth = {20'000'000};
    move.runs = true;
  }
  ~Following() {
    for (auto& pump : move.pumps) pump->go_on();
    move.close();
    if (play.joinable()) play.join();
  }
  Following(const Following&) = delete;
  Following& operator=(const Following&) = delete;

  void begin() {
    REQUIRE(move.begin());
    play = std::thread([this] { move.finish(); });
    REQUIRE(eventually([&] { return a.migration().progress(move.ref)->iteration >= 1; }));
  }
  // It runs at the destination, and the bulk of its memory stands still.
  void begin_and_stall() {
    move.at_destination_gate = [this] {
      move.by_kind.at(ChannelKind::main)->hold();
      return true;
    };
    begin();
    REQUIRE(a.migration().start_post_copy(move.ref));
    REQUIRE(eventually([&] { return state_of(b, vm) == DomainState::running; }));
  }
  void end() { play.join(); }

  TempDir root;
  TestHost a{root, "a"};
  TestHost b{root, "b"};
  const Uuid vm = uuid_of(1);
  const PageContent content{1, {}};
  Move move{a, b, vm};
  std::thread play;
};

std::string page_of(const TestHost& host, const Uuid& vm, std::size_t page) {
  const auto bytes = host.memory().read({vm, page * kPageSize, {kPageSize}});
  return bytes ? bytes->bytes : bytes.error().message;
}

bool is_right(const std::string& bytes, std::size_t page, const PageContent& content) {
  if (bytes.size() != kPageSize) return false;
  std::uint64_t generation = 0;
  std::memcpy(&generation, bytes.data(), sizeof generation);
  return content.matches(page, generation, reinterpret_cast<const unsigned char*>(bytes.data()));
}

}  // namespace

TEST_CASE("a guest that never converges runs at the destination while its memory follows") {
  Following hosts;
  CHECK(hosts.a.migration().start_post_copy(hosts.move.ref).error().code == Code::not_found);
  hosts.begin();
  CHECK(hosts.b.migration().start_post_copy(hosts.move.ref).error().code == Code::wrong_state);
  REQUIRE(hosts.a.migration().start_post_copy(hosts.move.ref));
  CHECK(state_of(hosts.a, hosts.vm) != DomainState::running);
  CHECK(hosts.a.migration().start_post_copy(hosts.move.ref).error().code == Code::wrong_state);
  hosts.end();
  INFO(hosts.move.sent.detail << " / " << hosts.move.received.detail);
  REQUIRE(hosts.move.sent.kind == SessionEventKind::done);
  REQUIRE(hosts.move.received.kind == SessionEventKind::done);
  CHECK(hosts.move.pumps.size() == 3);
  CHECK_FALSE(hosts.a.migration().holding(hosts.move.ref)->present);
  CHECK(state_of(hosts.b, hosts.vm) == DomainState::running);
  // It is nobody's but the migration's until its owner is on record.
  CHECK(hosts.b.control().pause({hosts.vm}).error().code == Code::wrong_state);
  REQUIRE(hosts.b.migration().activate(hosts.move.ref));
  const auto tick = tick_of(hosts.b, hosts.vm);
  CHECK(eventually([&] { return tick_of(hosts.b, hosts.vm) > tick; }));
  REQUIRE(hosts.b.control().pause({hosts.vm}));
  CHECK(picture_of(hosts.b, hosts.vm, hosts.content).wrong == 0);
}

TEST_CASE("a page that is waited for comes though nothing else does") {
  Following hosts;
  hosts.begin_and_stall();  // only the channel of what is waited for carries
  CHECK(hosts.b.migration().holding(hosts.move.ref)->migrating);
  CHECK(hosts.b.memory().map({hosts.vm}).error().code == Code::wrong_state);
  for (std::size_t page = 1; page < 2048; page += 97) {
    INFO("page " << page);
    CHECK(is_right(page_of(hosts.b, hosts.vm, page), page, hosts.content));
  }
  const auto tick = tick_of(hosts.b, hosts.vm);
  CHECK(eventually([&] { return tick_of(hosts.b, hosts.vm) > tick; }));
  hosts.move.by_kind.at(ChannelKind::main)->go_on();
  hosts.end();
  REQUIRE(hosts.move.received.kind == SessionEventKind::done);
  REQUIRE(hosts.b.migration().activate(hosts.move.ref));
  REQUIRE(hosts.b.control().pause({hosts.vm}));
  CHECK(picture_of(hosts.b, hosts.vm, hosts.content).wrong == 0);
}

TEST_CASE("a post-copy whose line is cut leaves a guest that runs nowhere") {
  Following hosts;
  const auto kind = GENERATE(ChannelKind::main, ChannelKind::urgent, ChannelKind::control);
  hosts.begin_and_stall();
  hosts.move.by_kind.at(kind)->cut();
  // Who sends to a channel that stands still does not look at another.
  hosts.move.by_kind.at(ChannelKind::main)->go_on();
  hosts.end();
  CHECK(hosts.move.sent.kind == SessionEventKind::doubt);
  CHECK(hosts.move.received.kind == SessionEventKind::doubt);
  hosts.move.close();
  for (TestHost* host : {&hosts.a, &hosts.b}) {
    CHECK(host->migration().holding(hosts.move.ref)->state == DomainState::crashed);
    CHECK_FALSE(host->migration().activate(hosts.move.ref));
    CHECK_FALSE(host->migration().reclaim(hosts.move.ref));
    CHECK_FALSE(host->control().resume({hosts.vm}));
  }
  SECTION("it can be removed") {
    CHECK(hosts.a.migration().release(hosts.move.ref));
    CHECK(hosts.b.migration().discard(hosts.move.ref));
    CHECK(state_of(hosts.a, hosts.vm) == DomainState::unknown);
    CHECK(state_of(hosts.b, hosts.vm) == DomainState::unknown);
  }
  SECTION("it can be started anew, once nobody holds it") {
    CHECK_FALSE((*hosts.a.backend->interchange())->start({hosts.vm}));
    REQUIRE(hosts.a.migration().unhold(hosts.move.ref));
    REQUIRE(hosts.a.migration().unhold(hosts.move.ref));
    CHECK(state_of(hosts.a, hosts.vm) == DomainState::shut_off);
    hosts.a.start();
    CHECK(state_of(hosts.a, hosts.vm) == DomainState::shut_off);
    REQUIRE((*hosts.a.backend->interchange())->start({hosts.vm}));
    CHECK(state_of(hosts.a, hosts.vm) == DomainState::running);
  }
}

TEST_CASE("a guest that is refused at a gate behind its post-copy's begin does not go on") {
  Following hosts;
  SECTION("at the source") {
    hosts.move.at_source_gate = [] { return false; };
  }
  SECTION("at the destination") {
    hosts.move.at_destination_gate = [] { return false; };
  }
  SECTION("the destination is told to load it paused") { hosts.move.runs = false; }
  hosts.begin();
  REQUIRE(hosts.a.migration().start_post_copy(hosts.move.ref));
  hosts.end();
  CHECK(hosts.move.sent.kind == SessionEventKind::doubt);
  CHECK(hosts.move.received.kind == SessionEventKind::failed);
  CHECK(state_of(hosts.a, hosts.vm) == DomainState::crashed);
  CHECK(state_of(hosts.b, hosts.vm) == DomainState::unknown);
}

TEST_CASE("a guest that converges first is loaded paused, as any other") {
  Following hosts({60'000'000});
  std::atomic<bool> at_gate = false;
  hosts.move.at_source_gate = [&] {
    at_gate = true;
    CHECK(hosts.a.migration().start_post_copy(hosts.move.ref).error().code == Code::wrong_state);
    return true;
  };
  hosts.begin();
  hosts.end();
  CHECK(at_gate);
  REQUIRE(hosts.move.received.kind == SessionEventKind::done);
  CHECK(state_of(hosts.b, hosts.vm) == DomainState::paused);
  REQUIRE(hosts.b.migration().activate(hosts.move.ref));
  CHECK(state_of(hosts.b, hosts.vm) == DomainState::running);
}

TEST_CASE("post-copy is only where it was agreed on, and not with bulk channels") {
  Following hosts;
  SECTION("not agreed on") {
    hosts.move.options.post_copy = false;
    hosts.begin();
    CHECK(hosts.a.migration().start_post_copy(hosts.move.ref).error().code == Code::wrong_state);
    REQUIRE(hosts.a.migration().cancel(hosts.move.ref));
    hosts.end();
    CHECK(state_of(hosts.a, hosts.vm) == DomainState::running);
  }
  SECTION("bulk channels") {
    hosts.move.options.bulk_channels = 2;
    CHECK(hosts.move.begin().error().code == Code::unsupported);
  }
}

TEST_CASE("a host that restarts in the middle of a post-copy starts nothing that it gave away") {
  Following hosts;
  hosts.begin_and_stall();
  for (auto& pump : hosts.move.pumps) {
    pump->go_on();
    pump->cut();
  }
  hosts.end();
  hosts.move.close();
  hosts.a.start();
  CHECK(state_of(hosts.a, hosts.vm) != DomainState::running);
  CHECK(hosts.a.migration().holding(hosts.move.ref)->moved);
  // What came there was never whole: it is not booted for it.
  hosts.b.start();
  hosts.b.start();
  CHECK(state_of(hosts.b, hosts.vm) == DomainState::shut_off);
  CHECK_FALSE(hosts.b.migration().activate(hosts.move.ref));
  CHECK_FALSE((*hosts.b.backend->interchange())->start({hosts.vm}));
  REQUIRE(hosts.b.migration().unhold(hosts.move.ref));
  CHECK_FALSE(hosts.b.migration().activate(hosts.move.ref));
  REQUIRE((*hosts.b.backend->interchange())->start({hosts.vm}));
  CHECK(state_of(hosts.b, hosts.vm) == DomainState::running);
}

#if !defined(__SANITIZE_THREAD__)
TEST_CASE("wherever a host's process dies in a post-copy, neither host runs the guest by itself after the restart") {
  const std::string step = GENERATE("source.held", "source.decided", "source.finish_sent", "source.follows",
                                    "source.loaded", "source.released", "destination.decided", "destination.recorded",
                                    "destination.loaded", "destination.runs", "destination.answered");
  INFO(step);
  TempDir root;
  TestHost a(root, "a");
  TestHost b(root, "b");
  const Uuid vm = uuid_of(1);
  a.file("vm-1", domain_text(1, "pattern = \"uniform\"\ndirty_rate = 20000\nfill = 0.9"));
  const pid_t child = ::fork();
  if (child == 0) {
    (step.starts_with("source") ? a : b).options.settings["fault.die"] = step;
    if (!a.try_start() || !b.try_start()) ::_exit(1);
    Move move(a, b, vm);
    move.options.post_copy = move.runs = true;
    move.options.maximum_downtime = {1};
    move.options.bandwidth = {20'000'000};
    if (!move.begin()) ::_exit(2);
    std::thread play([&] { move.finish(); });
    eventually([&] { return a.migration().progress(move.ref)->iteration >= 1; });
    static_cast<void>(a.migration().start_post_copy(move.ref));
    play.join();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) == Faults::kDeathStatus);
  a.start();
  b.start();
  CHECK(state_of(a, vm) != DomainState::running);
  CHECK(state_of(b, vm) != DomainState::running);
  // Once it ran there, what a restart finds is no guest that was whole.
  const SessionRef ref{Uuid(), vm};
  const std::set<std::string> ran{"source.follows", "destination.runs"};
  if (ran.contains(step)) CHECK_FALSE(b.migration().activate(ref));
}
#endif
