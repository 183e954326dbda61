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
  REQUIRE(calls.from_libvirt(captured("prepare")).action == Action::forward);
  REQUIRE(calls.from_peer(captured("prepare_reply")));
  auto call = rpc::parse_finish(captured("finish").payload());
  call->cancelled = 1;
  const auto message = message_of(rpc::encode(captured("finish").header, rpc::encode(*call)));
  CHECK(calls.from_libvirt(message).action == Action::forward);
  CHECK(calls.finish() == FinishState::cancelled);
  CHECK_FALSE(calls.from_peer(captured("finish_reply")));
  CHECK_FALSE(calls.loaded());
}

namespace {

std::string number(std::uint32_t value) {
  XdrWriter out;
  out.u32(value);
  return out.take();
}

void check_answered_here(const rpc::Step& step, const std::string& cause) {
  REQUIRE(step.action == Action::answer);
  const auto answer = message_of(step.bytes);
  CHECK(answer.header.is(rpc::Outcome::error));
  CHECK(rpc::error_text(answer.payload()).find(cause) != std::string::npos);
}

}  // namespace

TEST_CASE("a destination that denies a feature cannot make libvirt fall back to calls without a gate") {
  // Protocol 3, parameters, peer-to-peer: what libvirtd chooses its calls by.
  const std::uint32_t feature = GENERATE(4U, 6U, 10U, 13U, 14U, 15U);
  const std::uint32_t answer = GENERATE(0U, 2U, 0xffffffffU);
  rpc::SourceCalls calls(expected_domain(), std::string(kUri));
  const auto question = test::call(60, 5, number(feature));
  REQUIRE(calls.from_libvirt(question).action == Action::forward);
  const auto reply = calls.from_peer(reply_to(question, number(answer)));
  REQUIRE(reply);
  REQUIRE(reply->action == Action::forward);
  CHECK(message_of(reply->bytes).payload() == number(1));
}

TEST_CASE("features that no migration needs are denied without asking the destination") {
  const std::uint32_t feature = GENERATE(0U, 1U, 2U, 3U, 5U, 7U, 8U, 11U, 12U, 16U, 17U, 0xffffffffU);
  rpc::SourceCalls calls(expected_domain(), std::string(kUri));
  const auto step = calls.from_libvirt(test::call(60, 5, number(feature)));
  REQUIRE(step.action == Action::answer);
  CHECK(message_of(step.bytes).payload() == number(0));
}

TEST_CASE("calls of older protocols, and others that are no part of a migration, never leave the source") {
  const std::uint32_t procedure =
      GENERATE(60U + 1,  // domain migrate prepare
               62U,      // perform
               63U,      // finish
               109U,     // finish 2
               108U,     // prepare 2
               148U,     // prepare tunnel
               213U, 214U, 215U, 216U, 217U, 218U, 302U, 304U, 305U, 307U, 67U, 110U, 0U, 0xffffffffU);
  rpc::SourceCalls calls(expected_domain(), std::string(kUri));
  check_answered_here(calls.from_libvirt(test::call(procedure, 6, "xxxx")), "not part of a migration");
  CHECK(calls.finish() == FinishState::none);
  // An answer to it is an answer to nothing.
  CHECK_FALSE(calls.from_peer(reply_to(test::call(procedure, 6), "xxxx")));
}

TEST_CASE("the source's libvirt cannot be led to make its calls out of order, twice or at once") {
  rpc::SourceCalls calls(expected_domain(), std::string(kUri));
  SECTION("finish before prepare") {
    check_answered_here(calls.from_libvirt(captured("finish")), "before the migration was prepared");
    CHECK(calls.finish() == FinishState::none);
  }
  SECTION("prepare twice") {
    REQUIRE(calls.from_libvirt(captured("prepare")).action == Action::forward);
    REQUIRE(calls.from_peer(captured("prepare_reply")));
    check_answered_here(calls.from_libvirt(captured("prepare")), "more often than 1 times");
  }
  SECTION("finish while prepare is not answered") {
    REQUIRE(calls.from_libvirt(captured("prepare")).action == Action::forward);
    check_answered_here(calls.from_libvirt(captured("finish")), "before the call before it was answered");
  }
  SECTION("a second finish, after the gate has decided") {
    auto gated = at_gate();
    gated.proceed();
    REQUIRE(gated.from_peer(captured("finish_reply")));
    check_answered_here(gated.from_libvirt(captured("finish")), "more often than 1 times");
  }
  SECTION("another program") {
    auto call = captured("prepare");
    call.header.program = 0x20008087;
    check_answered_here(calls.from_libvirt(call), "this program is not part of a migration");
  }
}

TEST_CASE("a prepare that is answered without a URI sends the guest's memory to ours all the same") {
  rpc::SourceCalls calls(expected_domain(), std::string(kUri));
  REQUIRE(calls.from_libvirt(captured("prepare")).action == Action::forward);
  auto reply = rpc::parse_prepare_reply(captured("prepare_reply").payload());
  REQUIRE(reply);
  reply->uri.reset();
  const auto step = calls.from_peer(reply_to(captured("prepare"), rpc::encode(*reply)));
  REQUIRE(step);
  CHECK(rpc::parse_prepare_reply(message_of(step->bytes).payload())->uri == std::string(kUri));
}

TEST_CASE("an answer that has not its call's shape ends the conversation, and the call is still open") {
  rpc::SourceCalls calls(expected_domain(), std::string(kUri));
  const auto check = [&](const rpc::Message& call, std::string_view payload) {
    REQUIRE(calls.from_libvirt(call).action == Action::forward);
    CHECK_FALSE(calls.from_peer(reply_to(call, payload)));
    // Its caller waits: it is answered here, once.
    calls.peer_lost();
    const auto answer = message_of(calls.answer_outstanding());
    CHECK(answer.header.serial == call.header.serial);
    CHECK(answer.header.is(rpc::Outcome::ok) == (call.header.procedure == captured("connect_close").header.procedure));
    CHECK(calls.answer_outstanding().empty());
  };
  SECTION("a demand to authenticate") { check(captured("auth_list"), number(1) + number(1)); }
  SECTION("a choice of ways to authenticate") { check(captured("auth_list"), number(2) + number(0) + number(1)); }
  SECTION("no way to authenticate") { check(captured("auth_list"), number(0)); }
  SECTION("content in an answer that has none") {
    const std::string name = GENERATE("connect_open", "register_close_callback", "connect_close");
    check(captured(name), "xxxx");
  }
  SECTION("a prepare's with an empty cookie: libvirt would die of it") {
    auto reply = rpc::parse_prepare_reply(captured("prepare_reply").payload());
    REQUIRE(reply);
    reply->cookie.clear();
    check(captured("prepare"), rpc::encode(*reply));
  }
  SECTION("a prepare's that is cut short") {
    check(captured("prepare"), captured("prepare_reply").payload().substr(0, 40));
  }
}

TEST_CASE("of the destination's errors only code, domain and a bounded text come to libvirt") {
  rpc::SourceCalls calls(expected_domain(), std::string(kUri));
  REQUIRE(calls.from_libvirt(captured("prepare")).action == Action::forward);
  XdrWriter out;
  out.u32(9);
  out.u32(10);
  out.optional_text("no " + std::string(100000, 'x'));
  out.fixed(std::string(4000, 'y'));
  const auto step = calls.from_peer(reply_to(captured("prepare"), out.bytes(), rpc::Outcome::error));
  REQUIRE(step);
  REQUIRE(step->action == Action::forward);
  CHECK(step->bytes.size() < 5000);
  CHECK(step->bytes.find("yyyy") == std::string::npos);
  const auto payload = message_of(step->bytes);
  CHECK(rpc::error_text(payload.payload()).starts_with("no xxx"));
  CHECK(XdrReader(payload.payload().substr(4, 4)).u32("domain") == 10U);
}

TEST_CASE("after a refused gate libvirt ends its connection here, and the peer hears only the order to destroy") {
  auto calls = at_gate();
  calls.refuse("evidence is stale");
  for (const std::string name : {"unregister_close_callback", "connect_close"}) {
    const auto step = calls.from_libvirt(captured(name));
    REQUIRE(step.action == Action::answer);
    CHECK(message_of(step.bytes).header.is(rpc::Outcome::ok));
  }
}
