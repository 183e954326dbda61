#include <libvirt/libvirt.h>

#include "rpc_filter.hpp"
#include "support.hpp"

using namespace vmsec;
using namespace vmsec::kvm;
using namespace vmsec::kvm::test;
using rpc::Action;
using Load = rpc::DestinationFilter::Load;

namespace {

constexpr std::string_view kOurUri = "unix:///run/vmsec/ours/q/data.sock";
constexpr std::string_view kTheirUri = "unix:///var/lib/libvirt/mig/km-web.sock";

rpc::FilterSetup setup() {
  return {expected_domain(), data("domain.xml"), permissive_policy(), std::string(kOurUri), 0, [] { return Status(); }};
}

// A filter as it is just before the named call of the captured migration.
class Conversation {
 public:
  explicit Conversation(rpc::FilterSetup setup) : filter(std::move(setup)) {}

  void open() {
    for (const std::string name : {"auth_list", "supports_feature", "connect_open", "register_close_callback"})
      pass(captured(name), {});
  }
  void prepare() {
    open();
    pass(captured("prepare"), captured("prepare_reply").payload());
  }
  void pass(const rpc::Message& call, std::string_view reply) {
    const auto step = filter.from_peer(call);
    INFO(step.cause);
    REQUIRE(step.action == Action::forward);
    CHECK(filter.from_libvirt(reply_to(call, reply)).action == Action::forward);
  }

  rpc::DestinationFilter filter;
};

void check_refused(const rpc::Step& step, const rpc::Message& call, const std::string& cause) {
  INFO(step.cause);
  REQUIRE(step.action == Action::refuse);
  CHECK(step.cause.find(cause) != std::string::npos);
  CHECK(step.cause.find("km-web") != std::string::npos);
  const auto answer = message_of(step.bytes);
  CHECK(answer.header.is(rpc::Outcome::error));
  CHECK(answer.header.serial == call.header.serial);
  CHECK(rpc::error_text(answer.payload()) == step.cause);
}

template <class Edit>
rpc::Message edited_prepare(Edit&& edit) {
  const auto message = captured("prepare");
  auto call = rpc::parse_prepare(message.payload());
  REQUIRE(call);
  edit(*call);
  return message_of(rpc::encode(message.header, rpc::encode(*call)));
}

template <class Edit>
rpc::Message edited_finish(Edit&& edit) {
  const auto message = captured("finish");
  auto call = rpc::parse_finish(message.payload());
  REQUIRE(call);
  edit(*call);
  return message_of(rpc::encode(message.header, rpc::encode(*call)));
}

rpc::Value& parameter(std::vector<rpc::Parameter>& list, const std::string& name) {
  for (auto& each : list)
    if (each.name == name) return each.value;
  FAIL("no parameter " << name);
  return list.front().value;
}

}  // namespace

TEST_CASE("the captured migration passes the filter from its first call to its last") {
  Conversation talk(setup());
  talk.prepare();
  CHECK(talk.filter.prepared());
  const auto finish = captured("finish");
  REQUIRE(talk.filter.from_peer(finish).action == Action::hold);
  CHECK_FALSE(talk.filter.finish_sent());
  const auto sent = message_of(talk.filter.proceed(Load::paused));
  CHECK(sent.header.serial == finish.header.serial);
  CHECK(rpc::parse_finish(sent.payload())->cancelled == 0);
  const auto step = talk.filter.from_libvirt(reply_to(finish, captured("finish_reply").payload()));
  CHECK(step.action == Action::forward);
  CHECK(talk.filter.loaded());
  talk.pass(captured("unregister_close_callback"), {});
  talk.pass(captured("connect_close"), {});
}

TEST_CASE("the destination's QEMU listens where the destination says") {
  Conversation talk(setup());
  talk.open();
  const auto call = captured("prepare");
  const auto step = talk.filter.from_peer(call);
  REQUIRE(step.action == Action::forward);
  CHECK(step.bytes.find(kTheirUri) == std::string::npos);
  const auto passed = rpc::parse_prepare(message_of(step.bytes).payload());
  REQUIRE(passed);
  auto parameters = passed->parameters;
  CHECK(std::get<std::string>(parameter(parameters, VIR_MIGRATE_PARAM_URI)) == kOurUri);
  CHECK(std::get<std::string>(parameter(parameters, VIR_MIGRATE_PARAM_DEST_XML)) == data("domain.xml"));

  SECTION("and the source gets its own URI back") {
    rpc::Migrate3PrepareReply reply;
    reply.uri = std::string(kOurUri);
    const auto back = talk.filter.from_libvirt(reply_to(call, rpc::encode(reply)));
    REQUIRE(back.action == Action::forward);
    CHECK(rpc::parse_prepare_reply(message_of(back.bytes).payload())->uri == std::string(kTheirUri));
  }
}

TEST_CASE("procedures that are no part of a migration are refused") {
  // Numbers of libvirt's remote_protocol.x.
  const std::uint32_t procedure = GENERATE(8U,    // domain attach device
                                           9U,    // domain create
                                           10U,   // domain create XML
                                           11U,   // domain define XML
                                           12U,   // domain destroy
                                           13U,   // domain detach device
                                           14U,   // domain get XML
                                           23U,   // domain lookup by name
                                           28U,   // domain resume
                                           35U,   // domain undefine
                                           41U,   // network define XML
                                           53U,   // domain core dump
                                           62U,   // domain migrate perform
                                           77U,   // storage pool define XML
                                           93U,   // storage volume create XML
                                           105U,  // domain event register
                                           124U,  // node device destroy
                                           142U,  // secret define XML
                                           148U,  // domain migrate prepare tunnel
                                           180U,  // nwfilter define XML
                                           201U,  // domain open console
                                           213U,  // domain migrate begin 3
                                           214U,  // domain migrate prepare 3, without parameters
                                           215U,  // domain migrate prepare tunnel 3
                                           217U,  // domain migrate finish 3, without parameters
                                           302U,  // domain migrate begin 3
                                           304U,  // domain migrate prepare tunnel 3
                                           305U,  // domain migrate perform 3
                                           307U,  // domain migrate confirm 3
                                           345U,  // domain block copy
                                           357U,  // domain set user password
                                           364U,  // domain migrate start post-copy
                                           0U, 3U, 999U, 0x7fffffffU, 0xffffffffU);
  Conversation talk(setup());
  talk.open();
  const auto call = test::call(procedure, 77);
  check_refused(talk.filter.from_peer(call), call, "not part of a migration");
}

TEST_CASE("other programs are refused") {
  // QEMU's own, libxl's former one, and nonsense; keepalive stays between neighbours.
  const std::uint32_t program = GENERATE(0x20008087U, 0x20008088U, 0x06877e4eU, 0U, 0xffffffffU);
  Conversation talk(setup());
  talk.open();
  auto call = test::call(1, 5);
  call.header.program = program;
  check_refused(talk.filter.from_peer(call), call, "this program is not served");
}

TEST_CASE("a refusal names the call, and the program where it is not libvirt's own") {
  Conversation talk(setup());
  talk.open();
  CHECK(talk.filter.from_peer(test::call(11, 5)).cause.find("procedure 11 (define domain):") != std::string::npos);
  CHECK(talk.filter.from_peer(test::call(442, 5)).cause.find("procedure 442:") != std::string::npos);
  auto call = test::call(1, 5);
  call.header.program = rpc::kQemuProgram;
  CHECK(talk.filter.from_peer(call).cause.find("program 0x20008087 (QEMU), procedure 1 (monitor command):") !=
        std::string::npos);
  call.header.program = 0x06900690;
  CHECK(talk.filter.from_peer(call).cause.find("program 0x6900690, procedure 1:") != std::string::npos);
}

TEST_CASE("what is no plain call is refused") {
  Conversation talk(setup());
  talk.open();
  auto call = captured("prepare");
  SECTION("a reply, an event, a stream, a call with descriptors") {
    call.header.type = GENERATE(1U, 2U, 3U, 4U, 5U, 6U, 99U);
    check_refused(talk.filter.from_peer(call), call, "is not a call");
  }
  SECTION("a call with a status") {
    call.header.status = 2;
    check_refused(talk.filter.from_peer(call), call, "a call with status");
  }
  SECTION("another version of the program") {
    call.header.version = 2;
    check_refused(talk.filter.from_peer(call), call, "this program is not served");
  }
}

TEST_CASE("a connection to anything but the system's QEMU is refused") {
  const std::string name = GENERATE("qemu:///session", "test:///default", "qemu:///embed?root=/tmp", "lxc:///system",
                                    "qemu:///system?x=1", "");
  Conversation talk(setup());
  XdrWriter out;
  out.optional_text(name);
  out.u32(0);
  const auto call = test::call(1, 0, out.bytes());
  check_refused(talk.filter.from_peer(call), call, "the only connection served");
}

TEST_CASE("a connection with flags or trailing bytes is refused") {
  Conversation talk(setup());
  XdrWriter out;
  out.optional_text("qemu:///system");
  SECTION("flags") {
    out.u32(1);
    const auto call = test::call(1, 0, out.bytes());
    check_refused(talk.filter.from_peer(call), call, "flags 0x1");
  }
  SECTION("trailing bytes") {
    out.u32(0);
    out.u32(0);
    const auto call = test::call(1, 0, out.bytes());
    check_refused(talk.filter.from_peer(call), call, "bytes too many");
  }
}

TEST_CASE("calls out of order, twice or at once are refused") {
  Conversation talk(setup());
  SECTION("prepare before the connection is opened") {
    const auto call = captured("prepare");
    check_refused(talk.filter.from_peer(call), call, "before the connection was opened");
  }
  SECTION("finish before prepare") {
    talk.open();
    const auto call = captured("finish");
    check_refused(talk.filter.from_peer(call), call, "before the migration was prepared");
  }
  SECTION("a second prepare") {
    talk.prepare();
    const auto call = captured("prepare");
    check_refused(talk.filter.from_peer(call), call, "more often than 1 times");
  }
  SECTION("a second connect open") {
    talk.open();
    const auto call = captured("connect_open");
    check_refused(talk.filter.from_peer(call), call, "more often than 1 times");
  }
  SECTION("a call while another is not answered") {
    talk.open();
    REQUIRE(talk.filter.from_peer(captured("prepare")).action == Action::forward);
    const auto call = captured("connect_close");
    check_refused(talk.filter.from_peer(call), call, "before the call before it was answered");
  }
  SECTION("a second finish while the first waits at its gate") {
    talk.prepare();
    REQUIRE(talk.filter.from_peer(captured("finish")).action == Action::hold);
    const auto call = captured("finish");
    check_refused(talk.filter.from_peer(call), call, "before the call before it was answered");
  }
  SECTION("arguments where there are none") {
    const auto call = test::call(66, 0, std::string(8, '\0'));
    check_refused(talk.filter.from_peer(call), call, "it takes no arguments");
  }
  SECTION("features without end") {
    talk.open();
    for (int i = 1; i < 32; ++i) talk.pass(captured("supports_feature"), std::string(4, '\0'));
    const auto call = captured("supports_feature");
    check_refused(talk.filter.from_peer(call), call, "more often than 32 times");
  }
}

TEST_CASE("a prepare with other flags is refused") {
  Conversation talk(setup());
  talk.open();
  SECTION("without paused") {
    const auto call = edited_prepare([](auto& c) { c.flags &= ~std::uint32_t{VIR_MIGRATE_PAUSED}; });
    check_refused(talk.filter.from_peer(call), call, "lack paused");
  }
  SECTION("with one that is not allowed") {
    const auto flag = GENERATE(as<std::uint32_t>(), VIR_MIGRATE_TUNNELLED, VIR_MIGRATE_OFFLINE,
                               VIR_MIGRATE_NON_SHARED_DISK, VIR_MIGRATE_NON_SHARED_INC, VIR_MIGRATE_RDMA_PIN_ALL,
                               VIR_MIGRATE_TLS, VIR_MIGRATE_POSTCOPY_RESUME, 0x80000000U);
    const auto call = edited_prepare([&](auto& c) { c.flags |= flag; });
    check_refused(talk.filter.from_peer(call), call, "are not allowed");
  }
  SECTION("parallel where the session has no bulk channels") {
    const auto call = edited_prepare([](auto& c) { c.flags |= VIR_MIGRATE_PARALLEL; });
    check_refused(talk.filter.from_peer(call), call, "parallel channels are not what the session agreed on");
  }
  SECTION("post-copy where the session has none") {
    const auto call = edited_prepare([](auto& c) { c.flags |= VIR_MIGRATE_POSTCOPY; });
    check_refused(talk.filter.from_peer(call), call, "post-copy is not what the session agreed on");
  }
  SECTION("auto-converge where the session has none") {
    const auto call = edited_prepare([](auto& c) { c.flags |= VIR_MIGRATE_AUTO_CONVERGE; });
    check_refused(talk.filter.from_peer(call), call, "auto-converge is not what the session agreed on");
  }
}

TEST_CASE("where a session has post-copy its domain is to run when it is loaded, and not otherwise") {
  rpc::FilterSetup made = setup();
  made.post_copy = true;
  Conversation talk(std::move(made));
  talk.open();
  SECTION("without its flag") {
    const auto call = edited_prepare([](auto&) {});
    check_refused(talk.filter.from_peer(call), call, "post-copy is not what the session agreed on");
  }
  SECTION("with paused as well") {
    const auto call = edited_prepare([](auto& c) { c.flags |= VIR_MIGRATE_POSTCOPY; });
    check_refused(talk.filter.from_peer(call), call, "have paused");
  }
  SECTION("as libvirt does it") {
    const auto call = edited_prepare(
        [](auto& c) { c.flags = (c.flags | VIR_MIGRATE_POSTCOPY) & ~std::uint32_t{VIR_MIGRATE_PAUSED}; });
    const auto flags = rpc::parse_prepare(call.payload())->flags;
    CHECK(talk.filter.from_peer(call).action == rpc::Action::forward);
    talk.filter.from_libvirt(reply_to(call, captured("prepare_reply").payload()));
    const auto finish = edited_finish([&](auto& c) { c.flags = flags; });
    REQUIRE(talk.filter.from_peer(finish).action == Action::hold);
    const auto flags_of = [](const std::string& bytes) {
      return rpc::parse_finish(message_of(bytes).payload())->flags;
    };
    SECTION("it runs where COMMIT has come before") { CHECK(flags_of(talk.filter.proceed(Load::running)) == flags); }
    SECTION("it waits where COMMIT comes later, and is whole then") {
      CHECK(flags_of(talk.filter.proceed(Load::paused)) ==
            ((flags | VIR_MIGRATE_PAUSED) & ~std::uint32_t{VIR_MIGRATE_POSTCOPY}));
    }
  }
}

TEST_CASE("where a session takes up a post-copy its call says so") {
  rpc::FilterSetup made = setup();
  made.post_copy = made.recover = true;
  SECTION("as libvirt does it") {
    Conversation talk(std::move(made));
    talk.open();
    const auto call = edited_prepare([](auto& c) {
      c.flags = (c.flags | VIR_MIGRATE_POSTCOPY | VIR_MIGRATE_POSTCOPY_RESUME) & ~std::uint32_t{VIR_MIGRATE_PAUSED};
    });
    CHECK(talk.filter.from_peer(call).action == rpc::Action::forward);
  }
  SECTION("a fresh one would make a second domain") {
    Conversation talk(std::move(made));
    talk.open();
    const auto call = edited_prepare(
        [](auto& c) { c.flags = (c.flags | VIR_MIGRATE_POSTCOPY) & ~std::uint32_t{VIR_MIGRATE_PAUSED}; });
    check_refused(talk.filter.from_peer(call), call, "the session is to take up a post-copy that broke");
  }
}

TEST_CASE("a prepare with other parameters is refused") {
  Conversation talk(setup());
  talk.open();
  const auto add = [](const std::string& name, rpc::Value value) {
    return edited_prepare([&](auto& c) { c.parameters.push_back({name, std::move(value)}); });
  };
  SECTION("one that is not known") {
    const std::string name =
        GENERATE(VIR_MIGRATE_PARAM_DISKS_URI, VIR_MIGRATE_PARAM_GRAPHICS_URI, VIR_MIGRATE_PARAM_LISTEN_ADDRESS,
                 VIR_MIGRATE_PARAM_PERSIST_XML, VIR_MIGRATE_PARAM_TLS_DESTINATION, "x", "");
    const auto call = add(name, std::string("/etc/shadow"));
    check_refused(talk.filter.from_peer(call), call, "is not allowed");
  }
  SECTION("one that is given twice") {
    const auto call = add(VIR_MIGRATE_PARAM_URI, std::string(kTheirUri));
    check_refused(talk.filter.from_peer(call), call, "is given twice");
  }
  SECTION("another name") {
    const auto call = add(VIR_MIGRATE_PARAM_DEST_NAME, std::string("km-other"));
    check_refused(talk.filter.from_peer(call), call, "the domain's name is another one");
  }
  SECTION("more parallel connections than agreed") {
    const auto call = add(VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS, std::int32_t{200});
    check_refused(talk.filter.from_peer(call), call, "parallel connections");
  }
  SECTION("a URI that is no Unix socket") {
    const std::string uri = GENERATE("tcp://10.0.0.1:49152", "rdma://x", "exec:touch /x", "unix:x", "");
    const auto call =
        edited_prepare([&](auto& c) { parameter(c.parameters, VIR_MIGRATE_PARAM_URI) = std::string(uri); });
    check_refused(talk.filter.from_peer(call), call, "no unix:// one");
  }
  SECTION("none at all") {
    const auto call = edited_prepare([](auto& c) { c.parameters.clear(); });
    check_refused(talk.filter.from_peer(call), call, "is missing");
  }
}

TEST_CASE("a domain that is not byte for byte the described one is refused") {
  Conversation talk(setup());
  talk.open();
  const auto change =
      GENERATE(std::pair<std::string, std::string>("qemu-system-x86_64", "qemu-system-x86_63"),
               std::pair<std::string, std::string>("<memory unit='KiB'>65536", "<memory unit='KiB'>65537"),
               std::pair<std::string, std::string>("5f08b624", "5f08b625"),
               std::pair<std::string, std::string>("</domain>\n", "</domain>"));
  const auto call = edited_prepare([&](auto& c) {
    auto& xml = std::get<std::string>(parameter(c.parameters, VIR_MIGRATE_PARAM_DEST_XML));
    xml = replaced(xml, change.first, change.second);
  });
  check_refused(talk.filter.from_peer(call), call, "not the configuration that was described");
}

TEST_CASE("a described domain that the policy refuses does not get as far as libvirt") {
  auto strict = setup();
  strict.policy.disk_roots = {"/srv/elsewhere"};
  Conversation talk(std::move(strict));
  talk.open();
  const auto call = captured("prepare");
  check_refused(talk.filter.from_peer(call), call, "incoming.disk_roots");
}

TEST_CASE("a finish for another domain, with other flags, or with a domain beyond the policy is refused") {
  Conversation talk(setup());
  talk.prepare();
  SECTION("another domain") {
    const auto call =
        edited_finish([](auto& c) { parameter(c.parameters, VIR_MIGRATE_PARAM_DEST_NAME) = std::string("km-other"); });
    check_refused(talk.filter.from_peer(call), call, "the domain's name is another one");
  }
  SECTION("no domain") {
    const auto call = edited_finish([](auto& c) {
      std::erase_if(c.parameters, [](const auto& each) { return each.name == VIR_MIGRATE_PARAM_DEST_NAME; });
    });
    check_refused(talk.filter.from_peer(call), call, "destination_name is missing");
  }
  SECTION("without paused: libvirt would let it run") {
    const auto call = edited_finish([](auto& c) { c.flags &= ~std::uint32_t{VIR_MIGRATE_PAUSED}; });
    check_refused(talk.filter.from_peer(call), call, "are not those of prepare");
  }
  SECTION("cancelled is neither yes nor no") {
    const auto call = edited_finish([](auto& c) { c.cancelled = 2; });
    check_refused(talk.filter.from_peer(call), call, "cancelled is neither 0 nor 1");
  }
}

TEST_CASE("a definition to keep that the policy does not allow is refused") {
  Conversation talk(setup());
  talk.prepare();
  SECTION("another emulator") {
    const auto call =
        edited_finish([](auto& c) { c.cookie = replaced(c.cookie, "/usr/bin/qemu-system-x86_64", "/usr/bin/env"); });
    check_refused(talk.filter.from_peer(call), call, "domain/devices/emulator");
  }
  SECTION("another UUID") {
    const auto call = edited_finish([](auto& c) {
      const auto at = c.cookie.find("<uuid>", c.cookie.find("<domain"));
      c.cookie.replace(at + 6, 1, "6");
    });
    check_refused(talk.filter.from_peer(call), call, "domain/uuid");
  }
}

TEST_CASE("a definition to keep that the policy does allow does not get to libvirt either") {
  Conversation talk(setup());
  talk.prepare();
  const auto change = GENERATE(std::pair<std::string, std::string>("/srv/vmsec/disks/web-a", "/srv/vmsec/disks/other"),
                               std::pair<std::string, std::string>("<backingStore/>", ""));
  const auto call = edited_finish([&](auto& c) {
    if (c.cookie.find(change.first) != std::string::npos) c.cookie = replaced(c.cookie, change.first, change.second);
  });
  REQUIRE(rpc::parse_finish(call.payload())->cookie.find("<domain") != std::string::npos);
  REQUIRE(talk.filter.from_peer(call).action == Action::hold);
  const auto sent = rpc::parse_finish(message_of(talk.filter.proceed(Load::paused)).payload());
  REQUIRE(sent);
  CHECK(sent->cookie.find("<domain") == std::string::npos);
  CHECK(sent->cookie.find(change.second.empty() ? "/srv" : change.second) == std::string::npos);
  CHECK(sent->cookie.find("<statistics") != std::string::npos);
}

TEST_CASE("a prepare whose cookie is empty, or without capabilities, does not get to libvirt") {
  Conversation talk(setup());
  talk.open();
  SECTION("empty") {
    const auto call = edited_prepare([](auto& c) { c.cookie.clear(); });
    check_refused(talk.filter.from_peer(call), call, "migration cookie: is empty");
  }
  SECTION("without capabilities") {
    const auto call = edited_prepare([](auto& c) {
      c.cookie = "<qemu-migration><name>km-web</name><uuid>" + kDomainUuid + "</uuid></qemu-migration>" + '\0';
    });
    check_refused(talk.filter.from_peer(call), call, "has no capabilities");
  }
}

TEST_CASE("images are looked at once more before libvirt is to open them") {
  auto changed = setup();
  changed.images = [] { return Status(fail(Code::denied, "its header names an external data file")); };
  SECTION("and refused") {}
  SECTION("and a filter that cannot look refuses") { changed.images = nullptr; }
  const std::string cause = changed.images ? "external data file" : "cannot be looked at";
  Conversation talk(std::move(changed));
  talk.open();
  const auto call = captured("prepare");
  check_refused(talk.filter.from_peer(call), call, cause);
}

TEST_CASE("a cancelled finish goes to libvirt at once") {
  Conversation talk(setup());
  talk.prepare();
  const auto call = edited_finish([](auto& c) { c.cancelled = 1; });
  const auto step = talk.filter.from_peer(call);
  REQUIRE(step.action == Action::forward);
  CHECK(rpc::parse_finish(message_of(step.bytes).payload())->cancelled == 1);
  CHECK_FALSE(talk.filter.finish_sent());
}

TEST_CASE("a gate that refuses has libvirt destroy what it has") {
  Conversation talk(setup());
  talk.prepare();
  REQUIRE(talk.filter.from_peer(captured("finish")).action == Action::hold);
  CHECK(rpc::parse_finish(message_of(talk.filter.cancel()).payload())->cancelled == 1);
  CHECK_FALSE(talk.filter.finish_sent());
  const auto answer = message_of(talk.filter.answer_refused("the manifest does not match"));
  CHECK(answer.header.is(rpc::Outcome::error));
  CHECK(rpc::error_text(answer.payload()).find("the manifest does not match") != std::string::npos);
}

TEST_CASE("only libvirt's answer to the finish call says that a domain is loaded") {
  Conversation talk(setup());
  talk.prepare();
  const auto finish = captured("finish");
  REQUIRE(talk.filter.from_peer(finish).action == Action::hold);
  talk.filter.proceed(Load::paused);
  SECTION("an error") {
    talk.filter.from_libvirt(message_of(rpc::error_reply(finish.header, "qemu quit")));
    CHECK(talk.filter.finished());
    CHECK_FALSE(talk.filter.loaded());
    CHECK(talk.filter.failure().find("qemu quit") != std::string::npos);
  }
  SECTION("an answer to something else") {
    talk.filter.from_libvirt(reply_to(test::call(60, finish.header.serial), captured("finish_reply").payload()));
    CHECK_FALSE(talk.filter.finished());
  }
  SECTION("a success for another domain") {
    auto reply = rpc::parse_finish_reply(captured("finish_reply").payload());
    reply->uuid = Uuid();
    talk.filter.from_libvirt(reply_to(finish, rpc::encode(*reply)));
    CHECK_FALSE(talk.filter.loaded());
  }
}

TEST_CASE("keepalive is answered by the neighbour and never crosses") {
  Conversation talk(setup());
  rpc::Header ping;
  ping.program = rpc::kKeepaliveProgram;
  ping.procedure = 1;
  ping.type = 2;
  const auto message = message_of(rpc::encode(ping, {}));
  for (const auto& step : {talk.filter.from_peer(message), talk.filter.from_libvirt(message)}) {
    REQUIRE(step.action == Action::answer);
    CHECK(message_of(step.bytes).header.procedure == 2);
  }
}
