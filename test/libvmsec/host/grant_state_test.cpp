// The file of withdrawals and choices: read as it was written, or not at all.
#include <catch2/catch.hpp>

#include "host/grant_state.hpp"
#include "libvmsec/host/fake_backend.hpp"

namespace vmsec::test {
namespace {

using namespace host;

GrantState some() {
  GrantState state;
  state.last_id = 5;
  state.withdrawals = {{2, "scanner", "web-*", {}, {"vmsec.MemoryAccess"}, "advisory", "user 0", UnixSeconds{1}, {}},
                       {5, "throttle", {}, "batch", {}, "noise", "user 0 for bob", UnixSeconds{2}, {}}};
  state.choices = {{"acme", uuid_of(1), "scanner", "user 0", UnixSeconds{3}}};
  return state;
}

Code code(const GrantState& state) { return code_of(parse_grant_state(format_grant_state(state))); }

}  // namespace

TEST_CASE("grants: what is written is read") {
  const auto read = good(parse_grant_state(format_grant_state(some())));
  CHECK(read.last_id == 5);
  REQUIRE(read.withdrawals.size() == 2);
  CHECK(read.withdrawals[1].tag == "batch");
  CHECK(read.choices.at(0).tenant == "acme");
  CHECK(code({}) == Code::ok);
}

TEST_CASE("grants: what no writer writes is tampered with, also under a digest that fits") {
  GrantState state = some();
  SECTION("an id twice") { state.withdrawals[1].id = 2; }
  SECTION("an id of nothing") { state.withdrawals[0].id = 0; }
  SECTION("an id that was not given yet") { state.last_id = 4; }
  SECTION("no module") { state.withdrawals[0].module.clear(); }
  SECTION("no reason") { state.withdrawals[0].reason.clear(); }
  SECTION("nobody who asked") { state.withdrawals[0].by.clear(); }
  SECTION("neither pattern nor tag: it would take nothing") { state.withdrawals[0].vm.clear(); }
  SECTION("pattern and tag") { state.withdrawals[0].tag = "batch"; }
  SECTION("an interface that there is not") { state.withdrawals[0].interfaces = {"vmsec.Root"}; }
  SECTION("names of domains") { state.withdrawals[0].domains = {"web-1"}; }
  SECTION("what is known only now") { state.withdrawals[0].keeps_memory = true; }
  SECTION("a choice twice") { state.choices.push_back(state.choices[0]); }
  SECTION("a choice for no VM") { state.choices[0].domain = {}; }
  SECTION("a choice of nobody") { state.choices[0].tenant.clear(); }
  SECTION("more than a host keeps") { state.withdrawals.resize(GrantStateLimits::kWithdrawals + 1); }
  CHECK(code(state) == Code::tampered);
}

TEST_CASE("grants: bytes beyond the state are tampered with") {
  const std::string body = wire::encode(some());
  CHECK(decode_grant_state(body));
  CHECK(code_of(decode_grant_state(body + std::string("\x20\x01", 2))) == Code::tampered);  // an unknown field
  CHECK(code_of(decode_grant_state(body + std::string("\x08\x05", 2))) == Code::tampered);  // a field twice
  CHECK(code_of(parse_grant_state(body)) == Code::tampered);
  CHECK(code_of(parse_grant_state("vmsec-grants 2 00\n" + body)) == Code::tampered);
  CHECK(code_of(parse_grant_state("")) == Code::tampered);
}

}  // namespace vmsec::test
