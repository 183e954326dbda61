// The two filters, where disks are copied.
#include <libvirt/libvirt.h>

#include "rpc_filter.hpp"
#include "rpc_source.hpp"
#include "support.hpp"

using namespace vmsec;
using namespace vmsec::kvm;
using namespace vmsec::kvm::test;
using rpc::Action;

namespace {

constexpr std::string_view kOurUri = "unix:///run/vmsec/ours/q/data.sock";
constexpr std::string_view kOurDisks = "unix:///run/vmsec/ours/q/disk.sock";
constexpr std::string_view kTheirDisks = "unix:///run/vmsec/theirs/q/disk.sock";
constexpr std::uint32_t kFlags = VIR_MIGRATE_NON_SHARED_DISK | VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES;
const std::string kNbd = "<nbd><disk target='vda' capacity='268435456'/></nbd>";

rpc::FilterSetup setup(const std::vector<std::string>& disks) {
  rpc::FilterSetup made{expected_domain(),      data("domain.xml"), permissive_policy(), std::string(kOurUri), 0,
                        [] { return Status(); }};
  made.disks = disks;
  made.disks_uri = kOurDisks;
  return made;
}

std::string with_nbd(std::string cookie, const std::string& nbd = kNbd) {
  const std::string end = "</qemu-migration>";
  return cookie.replace(cookie.find(end), end.size(), nbd + end);
}

void copy_disks(std::vector<rpc::Parameter>& parameters, const std::vector<std::string>& disks) {
  for (const std::string& disk : disks) parameters.push_back({VIR_MIGRATE_PARAM_MIGRATE_DISKS, disk});
  parameters.push_back({VIR_MIGRATE_PARAM_DISKS_URI, std::string(kTheirDisks)});
}

// The captured call, as libvirt makes it for a copy of vda.
rpc::Migrate3Prepare good_prepare() {
  auto call = *rpc::parse_prepare(captured("prepare").payload());
  call.flags |= kFlags;
  copy_disks(call.parameters, {"vda"});
  call.cookie = with_nbd(call.cookie);
  return call;
}
rpc::Migrate3Finish good_finish() {
  auto call = *rpc::parse_finish(captured("finish").payload());
  call.flags |= kFlags;
  copy_disks(call.parameters, {"vda"});
  call.cookie = with_nbd(call.cookie);
  return call;
}
rpc::Message message(const rpc::Migrate3Prepare& call) {
  return message_of(rpc::encode(captured("prepare").header, rpc::encode(call)));
}
rpc::Message message(const rpc::Migrate3Finish& call) {
  return message_of(rpc::encode(captured("finish").header, rpc::encode(call)));
}

void open(rpc::DestinationFilter& filter) {
  for (const std::string name : {"auth_list", "supports_feature", "connect_open", "register_close_callback"}) {
    const auto call = captured(name);
    REQUIRE(filter.from_peer(call).action == Action::forward);
    filter.from_libvirt(reply_to(call, {}));
  }
}

rpc::Step prepare(const rpc::Migrate3Prepare& call, const std::vector<std::string>& disks = {"vda"}) {
  rpc::DestinationFilter filter(setup(disks));
  open(filter);
  return filter.from_peer(message(call));
}

void check_refused(const rpc::Step& step, const std::string& cause) {
  INFO(step.cause);
  REQUIRE(step.action == Action::refuse);
  CHECK(step.cause.find(cause) != std::string::npos);
}

rpc::Step finish(const rpc::Migrate3Finish& call) {
  rpc::DestinationFilter filter(setup({"vda"}));
  open(filter);
  const auto prepared = message(good_prepare());
  REQUIRE(filter.from_peer(prepared).action == Action::forward);
  filter.from_libvirt(reply_to(prepared, captured("prepare_reply").payload()));
  REQUIRE(filter.prepared());
  return filter.from_peer(message(call));
}

void without(std::vector<rpc::Parameter>& parameters, const std::string& name) {
  std::erase_if(parameters, [&](const rpc::Parameter& each) { return each.name == name; });
}

}  // namespace

TEST_CASE("the destination's QEMU takes disks where the destination says") {
  const auto step = prepare(good_prepare());
  INFO(step.cause);
  REQUIRE(step.action == Action::forward);
  CHECK(step.bytes.find(kTheirDisks) == std::string::npos);
  const auto passed = rpc::parse_prepare(message_of(step.bytes).payload());
  REQUIRE(passed);
  std::vector<std::string> disks;
  for (const auto& [name, value] : passed->parameters) {
    if (name == VIR_MIGRATE_PARAM_DISKS_URI) CHECK(std::get<std::string>(value) == kOurDisks);
    if (name == VIR_MIGRATE_PARAM_URI) CHECK(std::get<std::string>(value) == kOurUri);
    if (name == VIR_MIGRATE_PARAM_MIGRATE_DISKS) disks.push_back(std::get<std::string>(value));
  }
  CHECK(disks == std::vector<std::string>{"vda"});
}

TEST_CASE("disks that the session did not agree on are not copied") {
  check_refused(prepare(good_prepare(), {}), "flags 0x40040 are not allowed");
  auto call = good_prepare();
  SECTION("another one") {
    without(call.parameters, VIR_MIGRATE_PARAM_MIGRATE_DISKS);
    call.parameters.push_back({VIR_MIGRATE_PARAM_MIGRATE_DISKS, std::string("sda")});
  }
  SECTION("one more") { call.parameters.push_back({VIR_MIGRATE_PARAM_MIGRATE_DISKS, std::string("sda")}); }
  SECTION("the same twice") { call.parameters.push_back({VIR_MIGRATE_PARAM_MIGRATE_DISKS, std::string("vda")}); }
  SECTION("all that libvirt thinks fit") { without(call.parameters, VIR_MIGRATE_PARAM_MIGRATE_DISKS); }
  SECTION("by a number") {
    without(call.parameters, VIR_MIGRATE_PARAM_MIGRATE_DISKS);
    call.parameters.push_back({VIR_MIGRATE_PARAM_MIGRATE_DISKS, std::int32_t{1}});
  }
  check_refused(prepare(call), "disks to copy are not what the session agreed on");
}

TEST_CASE("a socket for disks is a Unix socket, given once") {
  auto call = good_prepare();
  SECTION("none") {
    without(call.parameters, VIR_MIGRATE_PARAM_DISKS_URI);
    check_refused(prepare(call), "disks' URI is missing");
  }
  SECTION("TCP") {
    without(call.parameters, VIR_MIGRATE_PARAM_DISKS_URI);
    call.parameters.push_back({VIR_MIGRATE_PARAM_DISKS_URI, std::string("tcp://0.0.0.0:10809")});
    check_refused(prepare(call), "no unix:// one");
  }
  SECTION("two") {
    call.parameters.push_back({VIR_MIGRATE_PARAM_DISKS_URI, std::string("unix:///x")});
    check_refused(prepare(call), "given twice");
  }
  SECTION("a port") {
    call.parameters.push_back({VIR_MIGRATE_PARAM_DISKS_PORT, std::int32_t{10809}});
    check_refused(prepare(call), "is not allowed");
  }
}

TEST_CASE("flags and parameters for disks come together, or not at all") {
  auto call = good_prepare();
  SECTION("a flag less") { call.flags &= ~std::uint32_t{VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES}; }
  SECTION("no flag") { call.flags &= ~kFlags; }
  check_refused(prepare(call), "copies of disks are not what the session agreed on");
  auto more = good_prepare();
  more.flags |= VIR_MIGRATE_NON_SHARED_INC;
  check_refused(prepare(more), "flags 0x80 are not allowed");
  auto plain = *rpc::parse_prepare(captured("prepare").payload());
  check_refused(prepare(plain), "copies of disks");
  CHECK(prepare(plain, {}).action == Action::forward);
  copy_disks(plain.parameters, {});
  check_refused(prepare(plain, {}), "disks_uri is not allowed");
}

TEST_CASE("a cookie speaks of disks where some are copied, and only there") {
  auto call = good_prepare();
  call.cookie = rpc::parse_prepare(captured("prepare").payload())->cookie;
  check_refused(prepare(call), "has no nbd");
  auto plain = *rpc::parse_prepare(captured("prepare").payload());
  plain.cookie = with_nbd(plain.cookie);
  check_refused(prepare(plain, {}), "no disk is to be copied");
  auto port = good_prepare();
  port.cookie = with_nbd(rpc::parse_prepare(captured("prepare").payload())->cookie, "<nbd port='10809'/>");
  check_refused(prepare(port), "qemu-migration/nbd/@port");
  auto bitmaps = good_prepare();
  bitmaps.cookie = with_nbd(bitmaps.cookie, "<blockDirtyBitmaps/>");
  check_refused(prepare(bitmaps), "blockDirtyBitmaps");
}

TEST_CASE("the last call must let the destination close its disks to the source") {
  CHECK(finish(good_finish()).action == Action::hold);
  auto silent = good_finish();
  silent.cookie = rpc::parse_finish(captured("finish").payload())->cookie;
  check_refused(finish(silent), "has no nbd");
  auto empty = good_finish();
  empty.cookie.clear();
  check_refused(finish(empty), "migration cookie");
  // What was cancelled is destroyed, disks and all.
  empty.cancelled = 1;
  CHECK(finish(empty).action == Action::forward);
}

TEST_CASE("the last call names the agreed disks, or none") {
  auto call = good_finish();
  without(call.parameters, VIR_MIGRATE_PARAM_MIGRATE_DISKS);
  without(call.parameters, VIR_MIGRATE_PARAM_DISKS_URI);
  CHECK(finish(call).action == Action::hold);
  copy_disks(call.parameters, {"sda"});
  check_refused(finish(call), "disks to copy are not what the session agreed on");
}

TEST_CASE("a source hears of disks from its destination only where it copies some") {
  const auto call = captured("prepare");
  auto reply = *rpc::parse_prepare_reply(captured("prepare_reply").payload());
  reply.cookie = with_nbd(reply.cookie);
  const auto answered = [&](CookieDisks disks) {
    rpc::SourceCalls calls(expected_domain(), "unix:///run/data.sock", disks);
    REQUIRE(calls.from_libvirt(call).action == Action::forward);
    return calls.from_peer(reply_to(call, rpc::encode(reply))).has_value();
  };
  CHECK(answered(CookieDisks::maybe));
  CHECK_FALSE(answered(CookieDisks::none));
}
