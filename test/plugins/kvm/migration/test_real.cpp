// The guest that moves here is a real QEMU under real libvirt daemons.
#include <cstdlib>
#include <fstream>
#include <functional>
#include <mutex>

#include "real_pair.hpp"

#include "migration_domain.hpp"
#include "migration_io.hpp"
#include "rpc_filter.hpp"
#include "rpc_message.hpp"

using namespace vmsec;
using namespace vmsec::kvm;
using namespace vmsec::kvm::test;
using Side = Pair::Side;
using Kind = SessionEventKind;

namespace {

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

void migrate(Pair& pair, MigrationOptions options = {}) {
  pair.begin(options);
  pair.reach_destination_gate();
  CHECK(pair.a.state(pair.ref.domain) == DomainState::paused);
  pair.decide(Side::destination, true);
  pair.await(Side::destination, Kind::done);
  pair.await(Side::source, Kind::done);
}

void check_arrives(Pair& pair) {
  // libvirt may still be at work on ending it, but nobody can run it here.
  CHECK_FALSE(run_domain(*pair.a.context->connection, pair.ref.domain, "run what has left"));
  CHECK(pair.b.state(pair.ref.domain) == DomainState::paused);
  CHECK(pair.b.context->held.is_held(pair.ref.domain));
  REQUIRE(pair.b.migration->activate(pair.ref));
  CHECK(pair.b.migration->activate(pair.ref));
  CHECK(pair.b.ticks(pair.ref.domain));
  CHECK_FALSE(pair.b.context->held.is_held(pair.ref.domain));
  CHECK(pair.b.migration->discard(pair.ref).error().code == Code::wrong_state);
  // What may be left is held until it is released, which waits for libvirt.
  CHECK(eventually([&] { return pair.a.migration->release(pair.ref).has_value(); }));
  CHECK(pair.a.migration->release(pair.ref));
  CHECK_FALSE(pair.a.present(pair.ref.domain));
  CHECK_FALSE(pair.a.context->held.is_held(pair.ref.domain));
  CHECK(pair.b.ticks(pair.ref.domain));
}

}  // namespace

TEST_CASE("a guest that has moved runs at the destination, and only there") {
  if (!have_hosts()) return;
  const bool persistent = GENERATE(true, false);
  Guest guest;
  guest.persistent = persistent;
  Pair pair(guest);
  migrate(pair);
  CHECK(pair.channels() == 2);
  const auto progress = pair.a.migration->progress(pair.ref);
  REQUIRE(progress);
  CHECK(progress->total.value > 0);
  CHECK(progress->transferred.value > 0);
  CHECK(progress->downtime.value > 0);
  CHECK(pair.b.migration->progress(pair.ref)->total.value > 0);
  check_arrives(pair);
  pair.close();
  virDomainPtr domain = virDomainLookupByUUID(pair.b.connect, pair.ref.domain.bytes().data());
  REQUIRE(domain != nullptr);
  CHECK(virDomainIsPersistent(domain) == (persistent ? 1 : 0));
  // What is kept is what ran: it starts again.
  if (persistent) {
    CHECK(virDomainDestroy(domain) == 0);
    CHECK(virDomainCreate(domain) == 0);
    CHECK(pair.b.ticks(pair.ref.domain));
  }
  virDomainFree(domain);
}

// With post-copy allowed, and not begun: of a guest that dirties its memory faster than it could ever be sent.
static void begin_second_pass(Pair& pair) {
  MigrationOptions options;
  options.post_copy = true;
  options.maximum_downtime = Microseconds{1000};
  options.bandwidth = BytesPerSecond{32 << 20};
  pair.begin(options);
  CHECK(pair.b.migration->start_post_copy(pair.ref).error().code == Code::wrong_state);
  REQUIRE(eventually([&] {
    pair.carry();
    return pair.a.migration->progress(pair.ref)->iteration >= 2;
  }));
}

TEST_CASE("bulk channels carry a guest as well") {
  if (!have_hosts()) return;
  Pair pair;
  MigrationOptions options;
  options.bulk_channels = 2;
  options.maximum_downtime = Microseconds{200'000};
  migrate(pair, options);
  CHECK(pair.channels() == 4);
  check_arrives(pair);
  pair.close();
}

TEST_CASE("a guest that never converges runs at the destination while its memory follows") {
  if (!have_hosts()) return;
  Pair pair(Guest{.command_line = "fill=48 dirty=40 rate=400"});
  begin_second_pass(pair);
  CHECK(pair.a.state(pair.ref.domain) == DomainState::running);
  pair.start_post_copy();
  pair.await(Side::source, Kind::gate);
  CHECK(pair.a.state(pair.ref.domain) == DomainState::paused);
  CHECK(pair.a.migration->start_post_copy(pair.ref).error().code == Code::wrong_state);
  pair.decide(Side::source, true);
  pair.await(Side::destination, Kind::gate);
  CHECK(pair.b.state(pair.ref.domain) != DomainState::running);
  pair.decide(Side::destination, true, {}, true);
  pair.await(Side::destination, Kind::done);
  pair.await(Side::source, Kind::done);
  CHECK(pair.b.state(pair.ref.domain) == DomainState::running);
  CHECK(pair.b.ticks(pair.ref.domain));
  REQUIRE(pair.b.migration->activate(pair.ref));
  CHECK_FALSE(pair.b.context->held.is_held(pair.ref.domain));
  CHECK(eventually([&] { return pair.a.migration->release(pair.ref).has_value(); }));
  CHECK_FALSE(pair.a.present(pair.ref.domain));
  pair.close();
}

TEST_CASE(
    "a post-copy that is cut before its gate leaves the guest at the source, one that is refused there is in doubt") {
  if (!have_hosts()) return;
  Pair pair(Guest{.command_line = "fill=48 dirty=40 rate=400"});
  begin_second_pass(pair);
  SECTION("cut while it is still pre-copy") {
    for (auto& relay : pair.relays) relay->cut();
    pair.await(Side::source, Kind::failed);
    REQUIRE(eventually([&] { return !pair.b.present(pair.ref.domain); }));
    pair.check_goes_on_at_source();
    pair.close();
  }
  SECTION("refused at its gate") {
    pair.start_post_copy();
    pair.await(Side::source, Kind::gate);
    pair.decide(Side::source, false, "too late");
    const auto doubt = pair.await(Side::source, Kind::doubt);
    CHECK(doubt.detail.find("post-copy had begun") != std::string::npos);
    REQUIRE(eventually([&] { return !pair.b.present(pair.ref.domain); }));
    CHECK(pair.a.context->held.is_held(pair.ref.domain));
    const auto left = pair.a.migration->holding(pair.ref);
    REQUIRE(left);
    // Where all of it had been sent before, QEMU calls the migration completed, and libvirt ends what is here.
    CHECK((left->state == DomainState::crashed || left->moved));
    CHECK_FALSE(left->migrating);
    // Nobody lets it go on; what is left of it can be removed.
    CHECK_FALSE(pair.a.migration->reclaim(pair.ref));
    CHECK(pair.a.migration->release(pair.ref));
    CHECK_FALSE(pair.a.present(pair.ref.domain));
  }
}

// libvirt itself would let it run there before anybody has said that it may.
TEST_CASE("a guest that converges before its post-copy begins is loaded paused, as any other") {
  if (!have_hosts()) return;
  Pair pair;
  MigrationOptions options;
  options.post_copy = true;
  pair.begin(options);
  pair.await(Side::source, Kind::gate);
  CHECK(pair.a.migration->start_post_copy(pair.ref).error().code == Code::wrong_state);
  pair.decide(Side::source, true);
  pair.await(Side::destination, Kind::gate);
  pair.decide(Side::destination, true);
  pair.await(Side::destination, Kind::done);
  CHECK(pair.b.state(pair.ref.domain) == DomainState::paused);
  pair.await(Side::source, Kind::done);
  CHECK(pair.b.state(pair.ref.domain) == DomainState::paused);
  REQUIRE(pair.b.migration->activate(pair.ref));
  CHECK(pair.b.ticks(pair.ref.domain));
  CHECK(eventually([&] { return pair.a.migration->release(pair.ref).has_value(); }));
  pair.close();
}

TEST_CASE("post-copy is refused where it cannot be") {
  if (!have_hosts()) return;
  MigrationOptions options;
  options.post_copy = true;
  SECTION("with bulk channels") {
    Pair pair;
    options.bulk_channels = 2;
    CHECK(pair.a.migration->start({pair.ref.migration, pair.ref.domain, options}).error().code == Code::unsupported);
  }
  SECTION("of a paused guest") {
    Guest guest;
    guest.paused = true;
    Pair pair(guest);
    CHECK(pair.a.migration->start({pair.ref.migration, pair.ref.domain, options}).error().code == Code::wrong_state);
  }
  SECTION("in a session that was not to have it") {
    Pair pair(Guest{.command_line = "fill=48 dirty=40 rate=400"});
    options.post_copy = false;
    options.maximum_downtime = Microseconds{1000};
    options.bandwidth = BytesPerSecond{32 << 20};
    pair.begin(options);
    REQUIRE(eventually([&] {
      pair.carry();
      return pair.a.migration->progress(pair.ref)->iteration >= 2;
    }));
    CHECK_FALSE(pair.a.migration->start_post_copy(pair.ref));
    REQUIRE(pair.a.migration->cancel(pair.ref));
    pair.await(Side::source, Kind::failed);
    pair.check_goes_on_at_source();
    pair.close();
  }
}

// Another guest's QEMU may run as the same user, whose folder the sockets are in.
TEST_CASE("who listens in the place of the domain's QEMU gets nothing of the guest") {
  if (!have_hosts()) return;
  namespace fs = std::filesystem;
  Pair pair;
  pair.begin();
  REQUIRE(eventually([&] {
    pair.carry();
    return pair.channels() == 1;
  }));
  SessionEvent main;
  REQUIRE(eventually([&] {
    auto event = pair.a.migration->next({pair.ref.migration, pair.ref.domain, Microseconds{5000}});
    REQUIRE(event);
    main = std::move(*event);
    return main.kind == Kind::channel;
  }));
  REQUIRE(main.channel == ChannelKind::main);
  std::string session = pair.ref.migration.text();
  std::erase(session, '-');
  const std::string socket = pair.b.context->options.run_dir + "/" + session + "/q/data.sock";
  REQUIRE(eventually([&] { return fs::exists(socket); }));
  fs::rename(socket, socket + ".moved");
  const auto impostor = listen_on(socket);
  REQUIRE(impostor);
  const auto opened = pair.b.migration->open({pair.ref.migration, pair.ref.domain, main.channel, main.index});
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == Code::denied);
  CHECK(opened.error().message.find("the domain's QEMU") != std::string::npos);
  main.fd.reset();
  pair.await(Side::source, Kind::failed);
  REQUIRE(eventually([&] { return !pair.b.present(pair.ref.domain); }));
  pair.check_goes_on_at_source();
  pair.close();
}

TEST_CASE("a guest with disks, a card and a TPM moves where both hosts' settings allow it") {
  if (!have_hosts()) return;
  namespace fs = std::filesystem;
  const fs::path disks = fs::temp_directory_path() / ("vmsec-disks-" + std::to_string(::getpid()));
  fs::create_directories(disks);
  const std::string disk = (disks / "a.img").string();
  std::ofstream(disk) << "disk";
  fs::resize_file(disk, 1 << 20);
  Guest guest;
  guest.devices = "<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/><source file='" + disk +
                  "'/><target dev='vda' bus='virtio'/></disk><interface type='ethernet'><target dev='kmtap0' "
                  "managed='yes'/><model type='virtio'/></interface><rng model='virtio'><backend "
                  "model='random'>/dev/urandom</backend></rng><graphics type='vnc' autoport='yes' listen='127.0.0.1'/>"
                  "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>";
  const std::string tpm = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>";
  if (!environment("VMSEC_TEST_KVM_TPM").empty()) guest.devices += tpm;
  SECTION("it moves") {
    Pair pair(guest, {{"incoming.disk_roots", disks.string()},
                      {"incoming.tap_prefix", "kmtap"},
                      {"outgoing.shared_roots", disks.string()}});
    migrate(pair);
    check_arrives(pair);
    pair.close();
  }
  SECTION("a destination that does not allow its disk refuses it first") {
    Pair pair(guest, {{"incoming.tap_prefix", "kmtap"}});
    const auto description = *pair.a.migration->describe({pair.ref.domain});
    const auto prepared = pair.b.migration->prepare({pair.ref.migration, pair.ref.domain, description, {}});
    CHECK(prepared.error().code == Code::denied);
    CHECK(prepared.error().message.find(disk) != std::string::npos);
  }
  SECTION("a source whose settings do not call its disk shared does not send it") {
    Pair pair(guest, {{"incoming.disk_roots", disks.string()}, {"incoming.tap_prefix", "kmtap"}});
    pair.begin();
    CHECK(pair.await(Side::source, Kind::failed).detail.find("nsafe") != std::string::npos);
    REQUIRE(pair.b.migration->cancel(pair.ref));
    pair.check_goes_on_at_source();
  }
  fs::remove_all(disks);
}

TEST_CASE("a chain of images moves, and one whose header names more than the XML is refused first") {
  if (!have_hosts()) return;
  namespace fs = std::filesystem;
  const fs::path disks = fs::temp_directory_path() / ("vmsec-chain-" + std::to_string(::getpid()));
  fs::create_directories(disks);
  const auto make = [&](const std::string& arguments) {
    REQUIRE(std::system(("cd " + disks.string() + " && qemu-img create -q -f qcow2 " + arguments).c_str()) == 0);
  };
  make("base.qcow2 4M");
  make("-b base.qcow2 -F qcow2 top.qcow2");
  Guest guest;
  // A chain that libvirt found by itself does not stand in what it sends.
  guest.devices = "<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='" +
                  (disks / "top.qcow2").string() + "'/><backingStore type='file'><format type='qcow2'/><source file='" +
                  (disks / "base.qcow2").string() +
                  "'/><backingStore/></backingStore><target dev='vda' bus='virtio'/>"
                  "</disk>";
  Pair pair(guest, {{"incoming.disk_roots", disks.string()}, {"outgoing.shared_roots", disks.string()}});
  SECTION("it moves") {
    migrate(pair);
    check_arrives(pair);
    pair.close();
  }
  SECTION("its base is exchanged for one with an external data file") {
    const auto description = *pair.a.migration->describe({pair.ref.domain});
    fs::remove(disks / "base.qcow2");
    make("-o data_file=secret.raw,data_file_raw=on base.qcow2 4M");
    const auto prepared = pair.b.migration->prepare({pair.ref.migration, pair.ref.domain, description, {}});
    REQUIRE_FALSE(prepared);
    CHECK(prepared.error().code == Code::denied);
    CHECK(prepared.error().message.find("external data file") != std::string::npos);
    CHECK_FALSE(pair.b.context->held.is_held(pair.ref.domain));
  }
  fs::remove_all(disks);
}

namespace {

// A destination that was taken over: answers libvirt's calls as it likes.
class FakeDestination {
 public:
  using Answer = std::function<std::string(const rpc::Message&)>;
  FakeDestination(Fd fd, Answer answer) : fd_(std::move(fd)), answer_(std::move(answer)) {
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeDestination() {
    ::shutdown(fd_.get(), SHUT_RDWR);
    thread_.join();
  }
  [[nodiscard]] std::vector<std::uint32_t> calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  void serve() {
    rpc::Framer framer;
    std::vector<char> buffer(65536);
    for (;;) {
      const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
      if (count <= 0) return;
      framer.add({buffer.data(), static_cast<std::size_t>(count)});
      for (auto message = framer.next(); message && *message; message = framer.next()) answer(**message);
    }
  }
  void answer(const rpc::Message& message) {
    {
      const std::lock_guard lock(mutex_);
      calls_.push_back(message.header.procedure);
    }
    const std::string bytes = answer_(message);
    static_cast<void>(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
  }

  Fd fd_;
  Answer answer_;
  std::mutex mutex_;
  std::vector<std::uint32_t> calls_;
  std::thread thread_;
};

std::string success(const rpc::Message& call, std::initializer_list<std::uint32_t> words) {
  XdrWriter out;
  for (const std::uint32_t word : words) out.u32(word);
  rpc::Header header = call.header;
  header.type = static_cast<std::uint32_t>(rpc::Type::reply);
  return rpc::encode(header, out.bytes());
}

}  // namespace

TEST_CASE("a destination that denies features, or answers prepare to its liking, gets no guest and ends no libvirtd") {
  if (!have_hosts()) return;
  Pair pair;
  pair.begin();
  auto channel = pair.a.migration->next({pair.ref.migration, pair.ref.domain, Microseconds{20'000'000}});
  REQUIRE(channel);
  REQUIRE(channel->kind == Kind::channel);
  // An empty cookie: libvirt 9.0 alone would die of it.
  const bool empty_cookie = GENERATE(true, false);
  FakeDestination evil(std::move(channel->fd), [&](const rpc::Message& call) {
    if (call.header.is(rpc::Procedure::auth_list)) return success(call, {1, 0});
    if (call.header.is(rpc::Procedure::connect_supports_feature)) return success(call, {0});
    if (!call.header.is(rpc::Procedure::domain_migrate_prepare3_params)) return success(call, {});
    if (!empty_cookie) return rpc::error_reply(call.header, "no, and /etc/shadow says why");
    rpc::Migrate3PrepareReply reply;
    reply.uri = "tcp:127.0.0.1:17555";
    rpc::Header header = call.header;
    header.type = static_cast<std::uint32_t>(rpc::Type::reply);
    return rpc::encode(header, rpc::encode(reply));
  });
  const auto failed = pair.await(Side::source, Kind::failed);
  INFO(failed.detail);
  CHECK(failed.detail.find(empty_cookie ? "is empty" : "says why") != std::string::npos);
  bool prepared = false;
  for (const std::uint32_t procedure : evil.calls()) {
    CHECK(rpc::allowance(procedure) > 0);
    prepared = prepared || procedure == 303;
    CHECK(procedure != 306);
  }
  CHECK(prepared);
  REQUIRE(pair.b.migration->cancel(pair.ref));
  pair.await(Side::destination, Kind::failed);
  pair.check_goes_on_at_source();
  pair.close();
}

TEST_CASE("a process that is neither libvirtd nor this guest's QEMU cannot send a guest") {
  if (!have_hosts()) return;
  Pair pair;
  MigrationOptions options;
  options.bulk_channels = GENERATE(0U, 2U);
  const auto description = pair.a.migration->describe({pair.ref.domain});
  REQUIRE(pair.b.migration->prepare({pair.ref.migration, pair.ref.domain, *description, options}));
  REQUIRE(pair.a.migration->start({pair.ref.migration, pair.ref.domain, options}));
  // This process has the right user, and is first.
  std::string socket;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(pair.a.context->options.run_dir))
    if (entry.path().filename() == "data.sock") socket = entry.path().string();
  REQUIRE_FALSE(socket.empty());
  const auto intruder = connect_to(socket);
  REQUIRE(intruder);
  pair.reach_destination_gate();
  char byte = 0;
  CHECK(::recv(intruder->get(), &byte, 1, 0) == 0);
  pair.decide(Side::destination, true);
  pair.await(Side::destination, Kind::done);
  pair.await(Side::source, Kind::done);
  CHECK(pair.channels() == 2 + options.bulk_channels);
  check_arrives(pair);
  pair.close();
}

TEST_CASE("a source that refuses at its gate keeps the guest") {
  if (!have_hosts()) return;
  Pair pair;
  pair.begin();
  pair.await(Side::source, Kind::gate);
  CHECK(pair.a.state(pair.ref.domain) == DomainState::paused);
  pair.decide(Side::source, false, "evidence is stale");
  CHECK(pair.await(Side::source, Kind::failed).detail.find("evidence is stale") != std::string::npos);
  pair.await(Side::destination, Kind::failed);
  pair.check_goes_on_at_source();
  pair.close();
}

TEST_CASE("a destination that refuses at its gate leaves the guest to the source") {
  if (!have_hosts()) return;
  Pair pair;
  pair.begin();
  pair.reach_destination_gate();
  pair.decide(Side::destination, false, "the manifest does not match");
  pair.await(Side::destination, Kind::failed);
  CHECK(pair.await(Side::source, Kind::failed).detail.find("the manifest does not match") != std::string::npos);
  pair.check_goes_on_at_source();
  pair.close();
}

TEST_CASE("a migration that is cancelled on its way leaves the guest to the source") {
  if (!have_hosts()) return;
  const Side side = GENERATE(Side::source, Side::destination);
  Guest guest;
  guest.command_line = "fill=48 dirty=16 rate=64";
  Pair pair(guest);
  MigrationOptions options;
  options.bandwidth = BytesPerSecond{std::uint64_t{4} << 20};
  pair.begin(options);
  auto& host = side == Side::source ? pair.a : pair.b;
  SECTION("before it has a channel") {}
  SECTION("while it sends memory") {
    REQUIRE(eventually([&] {
      pair.carry();
      return pair.a.migration->progress(pair.ref)->transferred.value > 0;
    }));
  }
  REQUIRE(host.migration->cancel(pair.ref));
  pair.await(Side::source, Kind::failed);
  // A destination that the source never reached has to be told.
  REQUIRE(pair.b.migration->cancel(pair.ref));
  pair.await(Side::destination, Kind::failed);
  pair.check_goes_on_at_source();
  pair.close();
}

TEST_CASE("a control channel cut after the order to load leaves a doubt that reclaim ends") {
  if (!have_hosts()) return;
  Pair pair;
  pair.begin();
  pair.reach_destination_gate();
  pair.relays.front()->cut();
  pair.await(Side::source, Kind::doubt);
  // Never loaded: its gate had not decided.
  pair.await(Side::destination, Kind::failed);
  CHECK(pair.a.state(pair.ref.domain) == DomainState::paused);
  const auto holding = pair.a.migration->holding(pair.ref);
  REQUIRE(holding);
  CHECK(holding->state == DomainState::paused);
  CHECK_FALSE(holding->migrating);
  CHECK(pair.a.context->held.is_held(pair.ref.domain));
  CHECK(pair.a.migration->cancel(pair.ref).error().code == Code::wrong_state);
  CHECK(pair.a.migration->close(pair.ref).error().code == Code::wrong_state);
  // Longer than libvirt's keepalive takes to give up a silent connection, the guest stays paused.
  const int patience = environment("VMSEC_TEST_LONG").empty() ? 2000 : 40000;
  std::this_thread::sleep_for(std::chrono::milliseconds(patience));
  CHECK(pair.a.state(pair.ref.domain) == DomainState::paused);
  REQUIRE(pair.a.migration->reclaim(pair.ref));
  pair.await(Side::source, Kind::failed);
  pair.check_goes_on_at_source();
  CHECK(pair.a.migration->reclaim(pair.ref));
  pair.close();
}

TEST_CASE("an answer that is lost leaves a doubt that release ends for a loaded destination") {
  if (!have_hosts()) return;
  Pair pair;
  pair.begin();
  pair.reach_destination_gate();
  pair.relays.front()->mute_destination();
  pair.decide(Side::destination, true);
  pair.await(Side::destination, Kind::done);
  CHECK(pair.a.state(pair.ref.domain) == DomainState::paused);
  pair.relays.front()->cut();
  pair.await(Side::source, Kind::doubt);
  CHECK(pair.a.state(pair.ref.domain) == DomainState::paused);
  CHECK(pair.b.state(pair.ref.domain) == DomainState::paused);
  REQUIRE(pair.a.migration->release(pair.ref));
  pair.await(Side::source, Kind::done);
  check_arrives(pair);
  pair.close();
}

TEST_CASE("an agent that dies in doubt leaves a guest that goes on at the source, and a paused copy to discard") {
  if (!have_hosts()) return;
  Pair pair;
  pair.begin();
  pair.reach_destination_gate();
  pair.relays.front()->mute_destination();
  pair.decide(Side::destination, true);
  pair.await(Side::destination, Kind::done);
  pair.relays.front()->cut();
  pair.await(Side::source, Kind::doubt);
  pair.a.migration.reset();
  CHECK(eventually([&] { return pair.a.state(pair.ref.domain) == DomainState::running; }));
  CHECK(pair.b.state(pair.ref.domain) == DomainState::paused);
  REQUIRE(pair.b.migration->discard(pair.ref));
  CHECK(pair.b.migration->discard(pair.ref));
  CHECK_FALSE(pair.b.present(pair.ref.domain));
  CHECK(pair.a.ticks(pair.ref.domain));
}

TEST_CASE("a data channel that breaks leaves the guest to the source") {
  if (!have_hosts()) return;
  Guest guest;
  guest.command_line = "fill=48 dirty=16 rate=64";
  Pair pair(guest);
  MigrationOptions options;
  options.bandwidth = BytesPerSecond{std::uint64_t{4} << 20};
  pair.begin(options);
  REQUIRE(eventually([&] {
    pair.carry();
    return pair.channels() == 2;
  }));
  pair.relays[1]->cut();
  pair.await(Side::source, Kind::failed);
  pair.await(Side::destination, Kind::failed);
  pair.check_goes_on_at_source();
  pair.close();
}

TEST_CASE("a guest that was paused before arrives paused, and stays paused where its migration fails") {
  if (!have_hosts()) return;
  Guest guest;
  guest.paused = true;
  Pair pair(guest);
  SECTION("it fails") {
    pair.begin();
    pair.await(Side::source, Kind::gate);
    pair.decide(Side::source, false, "no");
    pair.await(Side::source, Kind::failed);
    CHECK(pair.a.state(pair.ref.domain) == DomainState::paused);
  }
  SECTION("it arrives") {
    migrate(pair);
    CHECK(pair.b.state(pair.ref.domain) == DomainState::paused);
  }
}

TEST_CASE("a peer that asks for more than its migration is refused, told so, and ends its session") {
  if (!have_hosts()) return;
  Pair pair;
  const auto description = pair.a.migration->describe({pair.ref.domain});
  REQUIRE(description);
  REQUIRE(pair.b.migration->prepare({pair.ref.migration, pair.ref.domain, *description, {}}));
  auto end = pair.b.migration->open({pair.ref.migration, pair.ref.domain, ChannelKind::control, 0});
  REQUIRE(end);
  // virDomainDefineXML of a domain of its own.
  rpc::Header header;
  header.procedure = 11;
  XdrWriter out;
  out.opaque("<domain type='qemu'><name>km-evil</name></domain>");
  const std::string bytes = rpc::encode(header, out.bytes());
  REQUIRE(::send(end->fd.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  const auto wait = [&] {
    return pair.b.migration->next({pair.ref.migration, pair.ref.domain, Microseconds{20'000'000}});
  };
  const auto refused = wait();
  REQUIRE(refused);
  CHECK(refused->kind == Kind::refused);
  CHECK(refused->detail.find("procedure 11") != std::string::npos);
  CHECK(wait()->kind == Kind::failed);
  std::vector<char> answer(4096);
  const ssize_t count = ::recv(end->fd.get(), answer.data(), answer.size(), 0);
  REQUIRE(count > 28);
  CHECK(std::string(answer.data(), static_cast<std::size_t>(count)).find("not part of a migration") !=
        std::string::npos);
  CHECK(::recv(end->fd.get(), answer.data(), answer.size(), 0) == 0);
  CHECK(virDomainLookupByName(pair.b.connect, "km-evil") == nullptr);
  CHECK(pair.b.migration->close(pair.ref));
}

TEST_CASE("what cannot be migrated is refused before anything happens") {
  if (!have_hosts()) return;
  Pair pair;
  const auto description = *pair.a.migration->describe({pair.ref.domain});
  SECTION("a domain that is not there") {
    CHECK(pair.a.migration->describe({random_uuid()}).error().code == Code::not_found);
    CHECK(pair.a.migration->start({random_uuid(), random_uuid(), {}}).error().code == Code::not_found);
  }
  SECTION("a domain that the destination has already") {
    const auto here = pair.a.migration->prepare({random_uuid(), pair.ref.domain, description, {}});
    CHECK(here.error().code == Code::already_exists);
    auto namesake = description;
    namesake.domain = random_uuid();
    const auto at = namesake.configuration.find(pair.ref.domain.text());
    namesake.configuration.replace(at, 36, namesake.domain.text());
    CHECK(pair.a.migration->prepare({random_uuid(), namesake.domain, namesake, {}}).error().code ==
          Code::already_exists);
  }
  SECTION("a description of another domain, in another format, or beyond the policy") {
    auto other = description;
    other.domain = random_uuid();
    CHECK(pair.b.migration->prepare({pair.ref.migration, pair.ref.domain, other, {}}).error().code ==
          Code::invalid_argument);
    auto toml = description;
    toml.format = "sim-toml";
    CHECK(pair.b.migration->prepare({pair.ref.migration, pair.ref.domain, toml, {}}).error().code == Code::unsupported);
    auto evil = description;
    const auto at = evil.configuration.find("/usr/bin/qemu-system-x86_64");
    evil.configuration.replace(at, 27, "/usr/bin/env");
    CHECK(pair.b.migration->prepare({pair.ref.migration, pair.ref.domain, evil, {}}).error().code == Code::denied);
    CHECK_FALSE(pair.b.context->held.is_held(pair.ref.domain));
  }
  SECTION("a second session of one domain") {
    REQUIRE(pair.b.migration->prepare({pair.ref.migration, pair.ref.domain, description, {}}));
    CHECK(pair.b.migration->prepare({random_uuid(), pair.ref.domain, description, {}}).error().code ==
          Code::already_exists);
    CHECK(pair.b.migration->activate(pair.ref).error().code == Code::wrong_state);
    CHECK(pair.b.migration->cancel(pair.ref));
    CHECK(pair.b.migration->close(pair.ref));
    CHECK(pair.b.migration->close(pair.ref).error().code == Code::not_found);
  }
  SECTION("more channels than there may be") {
    MigrationOptions options;
    options.bulk_channels = 65;
    CHECK(pair.a.migration->start({pair.ref.migration, pair.ref.domain, options}).error().code == Code::limit_exceeded);
  }
  pair.check_goes_on_at_source();
}

TEST_CASE("a description that differs from what the source's libvirt sends is refused there and then") {
  if (!have_hosts()) return;
  Pair pair;
  auto description = *pair.a.migration->describe({pair.ref.domain});
  const auto at = description.configuration.find("<on_poweroff>destroy");
  REQUIRE(at != std::string::npos);
  description.configuration.replace(at, 20, "<on_poweroff>restart");
  REQUIRE(pair.b.migration->prepare({pair.ref.migration, pair.ref.domain, description, {}}));
  REQUIRE(pair.a.migration->start({pair.ref.migration, pair.ref.domain, {}}));
  CHECK(pair.await(Side::destination, Kind::refused).detail.find("not the configuration that was described") !=
        std::string::npos);
  pair.await(Side::destination, Kind::failed);
  const auto failed = pair.await(Side::source, Kind::failed);
  INFO(failed.detail);
  CHECK(failed.detail.find("not the configuration that was described") != std::string::npos);
  pair.check_goes_on_at_source();
  pair.close();
}

TEST_CASE("a session leaves no descriptor and no thread behind") {
  if (!have_hosts()) return;
  Pair pair;
  const auto round = [&] {
    pair.from_a.clear();
    pair.from_b.clear();
    pair.begin();
    pair.await(Side::source, Kind::gate);
    pair.decide(Side::source, false, "once more");
    pair.await(Side::source, Kind::failed);
    pair.await(Side::destination, Kind::failed);
    pair.close();
  };
  const auto threads = [] {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) ++count;
    return count;
  };
  round();
  const std::size_t before = open_descriptors();
  const std::size_t threads_before = threads();
  round();
  CHECK(eventually([&] { return open_descriptors() <= before; }));
  CHECK(eventually([&] { return threads() <= threads_before; }));
}
