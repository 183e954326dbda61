#include "rpc_source.hpp"
#include "support.hpp"

using namespace vmsec;
using namespace vmsec::kvm;
using namespace vmsec::kvm::test;
using rpc::Action;
using rpc::FinishState;

namespace {

constexpr std::string_view kUri = "unix:///run/vmsec/source/q/data.sock";

rpc::SourceCalls at_gate() {
  rpc::SourceCalls calls(expected_domain(), std::string(kUri));
  REQUIRE(calls.from_libvirt(captured("prepare")).action == Action::forward);
  const auto reply = calls.from_peer(captured("prepare_reply"));
  REQUIRE(reply);
  REQUIRE(reply->action == Action::forward);
  REQUIRE(calls.from_libvirt(captured("finish")).action == Action::hold);
  REQUIRE(calls.finish() == FinishState::held);
  return calls;
}

}  // namespace

TEST_CASE("the finish call waits for the gate, then goes unchanged") {
  auto calls = at_gate();
  CHECK(calls.proceed() == data("finish.bin"));
  const auto reply = calls.from_peer(captured("finish_reply"));
  REQUIRE(reply);
  CHECK(reply->action == Action::forward);
  CHECK(calls.loaded());
  CHECK(calls.finish() == FinishState::answered);
  CHECK(rpc::cookie_number(calls.statistics(), "memory_page_size") == 4096);
  CHECK(rpc::cookie_number(calls.statistics(), "nothing") == 0);
}

TEST_CASE("a refused gate answers libvirt with an error and orders the peer to destroy") {
  auto calls = at_gate();
  const auto refusal = calls.refuse("evidence is stale");
  const auto order = message_of(refusal.to_peer);
  CHECK(rpc::parse_finish(order.payload())->cancelled == 1);
  const auto answer = message_of(refusal.to_libvirt);
  CHECK(answer.header.is(rpc::Outcome::error));
  CHECK(answer.header.serial == captured("finish").header.serial);
  // The peer's answer to the order is for nobody.
  const auto reply = calls.from_peer(reply_to(captured("finish"), {}, rpc::Outcome::error));
  REQUIRE(reply);
  CHECK(reply->action == Action::drop);
  CHECK_FALSE(calls.loaded());
}

TEST_CASE("a peer that is lost after the order to load leaves a doubt, not an answer") {
  auto calls = at_gate();
  calls.proceed();
  calls.peer_lost();
  CHECK(calls.finish() == FinishState::in_doubt);
  SECTION("which can end with the guest here") {
    CHECK(message_of(calls.answer_failed("resolved")).header.is(rpc::Outcome::error));
    CHECK_FALSE(calls.loaded());
  }
  SECTION("or there") {
    const auto answer = message_of(calls.answer_loaded());
    CHECK(answer.header.is(rpc::Outcome::ok));
    CHECK(answer.header.serial == captured("finish").header.serial);
    const auto reply = rpc::parse_finish_reply(answer.payload());
    REQUIRE(reply);
    CHECK(reply->uuid.text() == kDomainUuid);
    CHECK(reply->name == "km-web");
  }
  SECTION("and libvirt's keepalive is answered meanwhile") {
    rpc::Header ping;
    ping.program = rpc::kKeepaliveProgram;
    ping.procedure = 1;
    ping.type = 2;
    CHECK(calls.from_libvirt(message_of(rpc::encode(ping, {}))).action == Action::answer);
  }
  SECTION("and afterwards the connection can be closed in good order") {
    calls.answer_failed("resolved");
    for (const std::string name : {"unregister_close_callback", "connect_close"}) {
      const auto step = calls.from_libvirt(captured(name));
      REQUIRE(step.action == Action::answer);
      CHECK(message_of(step.bytes).header.is(rpc::Outcome::ok));
    }
  }
}

TEST_CASE("the destination does not choose where the guest's memory goes") {
  rpc::SourceCalls calls(expected_domain(), std::string(kUri));
  REQUIRE(calls.from_libvirt(captured("prepare")).action == Action::forward);
  auto reply = rpc::parse_prepare_reply(captured("prepare_reply").payload());
  REQUIRE(reply);
  reply->uri = "tcp://198.51.100.7:49152";
  const auto step = calls.from_peer(reply_to(captured("prepare"), rpc::encode(*reply)));
  REQUIRE(step);
  CHECK(rpc::parse_prepare_reply(message_of(step->bytes).payload())->uri == std::string(kUri));
}

TEST_CASE("answers that make no sense end the conversation") {
  auto calls = at_gate();
  SECTION("a success before the order was given") { CHECK_FALSE(calls.from_peer(captured("finish_reply"))); }
  SECTION("a call") { CHECK_FALSE(calls.from_peer(captured("connect_open"))); }
  SECTION("another program") {
    auto reply = captured("finish_reply");
    reply.header.program = 0x20008087;
    CHECK_FALSE(calls.from_peer(reply));
  }
  SECTION("another serial") {
    calls.proceed();
    auto reply = captured("finish_reply");
    reply.header.serial += 1;
    CHECK_FALSE(calls.from_peer(reply));
    CHECK(calls.finish() == FinishState::sent);
  }
  SECTION("another domain") {
    calls.proceed();
    auto reply = rpc::parse_finish_reply(captured("finish_reply").payload());
    reply->name = "km-other";
    CHECK_FALSE(calls.from_peer(reply_to(captured("finish"), rpc::encode(*reply))));
    CHECK_FALSE(calls.loaded());
    CHECK(calls.finish() == FinishState::sent);
  }
  SECTION("a success that is cut short") {
    calls.proceed();
    const auto whole = captured("finish_reply");
    CHECK_FALSE(calls.from_peer(reply_to(captured("finish"), whole.payload().substr(0, 20))));
  }
  SECTION("a cookie with a domain definition") {
    calls.proceed();
    auto reply = rpc::parse_finish_reply(captured("finish_reply").payload());
    reply->cookie = rpc::parse_finish(captured("finish").payload())->cookie;
    CHECK_FALSE(calls.from_peer(reply_to(captured("finish"), rpc::encode(*reply))));
  }
}

TEST_CASE("a cancelled finish goes out at once, and no success is believed then") {
  rpc::SourceCalls calls(expected_domain(), std::string(kUri));
  auto call = rpc::parse_finish(captured("finish").payload());
  call->cancelled = 1;
  const auto message = message_of(rpc::encode(captured("finish").header, rpc::encode(*call)));
  CHECK(calls.from_libvirt(message).action == Action::forward);
  CHECK(calls.finish() == FinishState::cancelled);
  CHECK_FALSE(calls.from_peer(captured("finish_reply")));
  CHECK_FALSE(calls.loaded());
}
