// What is left in the backend when a module's process ends in mid-migration.
#include "host/module_link.hpp"
#include "libvmsec/host/fake_backend.hpp"
#include "vmsec/module.hpp"

namespace vmsec::test {
namespace {

using namespace host;

// Notes what it is asked, and answers the events that it is given.
class Moves final : public Migration {
 public:
  Result<DomainDescription> describe(const DomainRef&) override { return DomainDescription{}; }
  Result<Empty> start(const StartOutgoing&) override { return note("start"); }
  Result<Empty> prepare(const PrepareIncoming&) override { return note("prepare"); }
  Result<ChannelEnd> open(const OpenChannel&) override { return ChannelEnd{}; }
  Result<SessionEvent> next(const NextSessionEvent&) override {
    calls += "next ";
    if (events.empty()) return fail(Code::not_found, "no such session");
    SessionEvent event;
    event.kind = events.front();
    events.erase(events.begin());
    return event;
  }
  Result<Empty> decide(const GateDecision& decision) override { return note(decision.proceed ? "proceed" : "refuse"); }
  Result<TransferProgress> progress(const SessionRef&) override { return TransferProgress{}; }
  Result<Empty> cancel(const SessionRef&) override { return note("cancel"); }
  Result<Empty> close(const SessionRef&) override { return note("close"); }
  Result<Holding> holding(const SessionRef&) override { return Holding{}; }
  Result<Empty> hold(const SessionRef&) override { return note("hold"); }
  Result<Empty> activate(const SessionRef&) override { return note("activate"); }
  Result<Empty> discard(const SessionRef&) override { return note("discard"); }
  Result<Empty> reclaim(const SessionRef&) override { return note("reclaim"); }
  Result<Empty> release(const SessionRef&) override { return note("release"); }
  Result<Empty> start_post_copy(const SessionRef&) override { return note("start_post_copy"); }
  Result<Empty> unhold(const SessionRef&) override { return note("unhold"); }

  std::string calls;
  std::vector<SessionEventKind> events;

 private:
  Result<Empty> note(const std::string& call) {
    calls += call + " ";
    return Empty{};
  }
};

class MovingBackend final : public Backend {
 public:
  [[nodiscard]] std::string name() const override { return "moving"; }
  Result<Migration*> migration() override { return &moves; }
  Moves moves;
};

struct Moving {
  Moving() {
    const vmsec_host host = link.host();
    const Packet reply =
        good(sdk::call_through(host.call, host.context, {}, 0, 1, wire::pack(OpenHandle{"vmsec.Migration"})));
    const auto handle = good(wire::decode<HandleReply>(reply.bytes));
    handle_ = std::uint64_t{handle.id} << 32 | handle.generation;
  }
  template <class Request>
  void call(std::uint32_t method, const Request& request) {
    const vmsec_host host = link.host();
    std::ignore = sdk::call_through(host.call, host.context, {}, handle_, method, wire::pack(request));
  }
  void start() { call(2, StartOutgoing{uuid_of(7), uuid_of(1), {}}); }
  void prepare() {
    DomainDescription description;
    description.domain = uuid_of(1);
    description.name = "web-1";
    call(3, PrepareIncoming{uuid_of(7), uuid_of(1), description, {}});
  }
  void next() { call(5, NextSessionEvent{uuid_of(7), uuid_of(1), {}}); }
  void decide() { call(6, GateDecision{uuid_of(7), uuid_of(1), true, {}}); }
  void close() { call(9, SessionRef{uuid_of(7), uuid_of(1)}); }
  // What the backend is asked when the process has ended.
  std::string after_the_end() {
    backend.moves.calls.clear();
    link.release();
    return backend.moves.calls;
  }

  MovingBackend backend;
  Capabilities capabilities{backend};
  Grants grants{true};
  std::vector<AuditEntry> recorded;
  loader::Manifest manifest{"migration", "1", {}, {}, {}, {"vmsec.Migration"}, {}};
  ModuleLink link{manifest, capabilities, grants, nullptr, [this](const AuditEntry& entry) {
                    recorded.push_back(entry);
                    return Status();
                  }};

 private:
  std::uint64_t handle_ = 0;
};

}  // namespace

TEST_CASE("a move that was not told to proceed is cancelled, its end awaited, and closed") {
  Moving moving;
  SECTION("at its source") { moving.start(); }
  SECTION("at its destination") { moving.prepare(); }
  moving.backend.moves.events = {SessionEventKind::channel, SessionEventKind::none, SessionEventKind::failed};
  CHECK(moving.after_the_end() == "cancel next next next close ");
  REQUIRE(moving.recorded.size() == 1);
  CHECK(moving.recorded[0].action == "session.abandon");
  CHECK(moving.recorded[0].domain == uuid_of(1));
  CHECK(moving.after_the_end().empty());  // nothing is held any more
}

TEST_CASE("a move that was told to proceed is not cancelled: it may have happened") {
  Moving moving;
  moving.start();
  moving.decide();
  moving.backend.moves.events = {SessionEventKind::none, SessionEventKind::done};
  CHECK(moving.after_the_end() == "next next close ");
}

TEST_CASE("a guest that may be loaded here is held until somebody decides") {
  Moving moving;
  moving.prepare();
  moving.decide();
  moving.backend.moves.events = {SessionEventKind::done};
  CHECK(moving.after_the_end() == "next hold close ");
}

TEST_CASE("a gate that comes after the end of its module is refused") {
  Moving moving;
  moving.start();
  moving.backend.moves.events = {SessionEventKind::gate, SessionEventKind::failed};
  CHECK(moving.after_the_end() == "cancel next refuse next close ");
}

TEST_CASE("a move that has said how it ended is only closed, and one that was closed is left alone") {
  Moving moving;
  moving.start();
  moving.backend.moves.events = {SessionEventKind::done};
  moving.next();
  SECTION("not closed") { CHECK(moving.after_the_end() == "close "); }
  SECTION("closed") {
    moving.close();
    CHECK(moving.after_the_end().empty());
  }
}

}  // namespace vmsec::test
