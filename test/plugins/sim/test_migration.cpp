#include "sim_fixture.hpp"

using namespace vmsec;
using namespace vmsec::sim;

namespace {

struct Pair {
  TempDir root;
  TestHost a{root, "a"};
  TestHost b{root, "b"};
  const Uuid vm = uuid_of(1);
  const PageContent content{1, {}};

  explicit Pair(const std::string& workload = "dirty_rate = 2000", const std::string& more = {}) {
    a.file("vm-1", domain_text(1, workload, more));
    a.start();
    b.start();
  }
  // Exactly one of the two runs it, and its memory is right.
  void require_runs_at(TestHost& here, TestHost& there) const {
    CHECK(state_of(there, vm) == DomainState::unknown);
    REQUIRE(state_of(here, vm) == DomainState::running);
    const auto tick = tick_of(here, vm);
    CHECK(eventually([&] { return tick_of(here, vm) > tick; }));
    REQUIRE(here.control().pause({vm}));
    CHECK(picture_of(here, vm, content).wrong == 0);
    REQUIRE(here.control().resume({vm}));
  }
};

}  // namespace

TEST_CASE("a domain moves under load, with each pattern and any number of channels") {
  const std::string pattern = GENERATE("uniform", "hot", "sequential");
  const std::uint32_t bulk = GENERATE(0u, 1u, 3u);
  Pair hosts("pattern = \"" + pattern + "\"\ndirty_rate = 20000\nfill = 0.7");
  REQUIRE(eventually([&] { return tick_of(hosts.a, hosts.vm) > 2; }));
  Move move(hosts.a, hosts.b, hosts.vm);
  move.options.bulk_channels = bulk;
  MemoryPicture at_source;
  std::uint64_t tick = 0;
  move.at_source_gate = [&] {
    at_source = picture_of(hosts.a, hosts.vm, hosts.content);
    tick = tick_of(hosts.a, hosts.vm);
    return true;
  };
  move.run();
  INFO(move.sent.detail << " / " << move.received.detail);
  REQUIRE(move.sent.kind == SessionEventKind::done);
  REQUIRE(move.received.kind == SessionEventKind::done);
  CHECK(move.pumps.size() == 2 + bulk);

  // The source has nothing left, the destination is loaded and paused.
  CHECK_FALSE(hosts.a.migration().holding(move.ref)->present);
  CHECK(hosts.b.migration().holding(move.ref)->state == DomainState::paused);
  CHECK(hosts.b.control().resume({hosts.vm}).error().code == Code::wrong_state);
  const auto at_destination = picture_of(hosts.b, hosts.vm, hosts.content);
  CHECK(at_source.wrong == 0);
  CHECK(at_destination.wrong == 0);
  CHECK(at_destination.writes == at_source.writes);
  CHECK(at_destination.digest == at_source.digest);
  CHECK(tick_of(hosts.b, hosts.vm) == tick);

  REQUIRE(hosts.b.migration().activate(move.ref));
  REQUIRE(hosts.b.migration().activate(move.ref));
  hosts.require_runs_at(hosts.b, hosts.a);
}

TEST_CASE("zero pages do not travel") {
  Pair hosts("pattern = \"idle\"\nfill = 0.25");
  Move move(hosts.a, hosts.b, hosts.vm);
  move.run();
  REQUIRE(move.received.kind == SessionEventKind::done);
  const auto progress = hosts.a.migration().progress(move.ref);
  REQUIRE(progress);
  CHECK(progress->total.value == 8u << 20);
  CHECK(progress->transferred.value > 2u << 20);
  CHECK(progress->transferred.value < 3u << 20);
  CHECK(progress->remaining.value == 0);
  CHECK(progress->downtime.value > 0);
}

TEST_CASE("the limits travel with the domain") {
  Pair hosts("dirty_rate = 100", "[[nic]]\ntarget = \"vm-1-0\"\nmac = \"52:54:00:00:00:01\"\n");
  ResourceLimits limits;
  limits.cpu_weight = 2048;
  limits.cpu_quota_millis = 500;
  limits.memory_limit = Bytes{6 << 20};
  limits.pins = {{1, {0}}};
  REQUIRE(hosts.a.resources().set({hosts.vm, limits}));
  REQUIRE(hosts.a.io().set_nic({hosts.vm, {"vm-1-0", {1000}, {2000}}}));
  Move move(hosts.a, hosts.b, hosts.vm);
  move.run();
  INFO(move.sent.detail << " / " << move.received.detail);
  REQUIRE(move.received.kind == SessionEventKind::done);
  const auto there = hosts.b.resources().get({hosts.vm});
  REQUIRE(there);
  CHECK(there->cpu_weight == 2048u);
  CHECK(there->cpu_quota_millis == 500u);
  CHECK(there->memory_limit == Bytes{6 << 20});
  CHECK(there->pins == std::vector<VcpuPin>{{0, {}}, {1, {0}}});
  CHECK(hosts.b.io().get({hosts.vm})->nics == std::vector<NicLimit>{{"vm-1-0", {1000}, {2000}}});
  REQUIRE(hosts.b.migration().activate(move.ref));
  hosts.require_runs_at(hosts.b, hosts.a);
}

TEST_CASE("a domain has as many vCPUs after it has moved, also where their number changes on the way") {
  Pair hosts("dirty_rate = 2000");
  REQUIRE(hosts.a.resources().set({hosts.vm, {.vcpus = 1}}));
  const auto description = hosts.a.migration().describe({hosts.vm});
  CHECK(description->vcpus == 1);
  CHECK(description->configuration.find("vcpus = 1\nvcpus_maximum = 2\n") != std::string::npos);
  const bool changes = GENERATE(false, true);
  Move move(hosts.a, hosts.b, hosts.vm);
  REQUIRE(move.begin());
  if (changes) REQUIRE(hosts.a.resources().set({hosts.vm, {.vcpus = 2}}));
  move.finish();
  REQUIRE(move.received.kind == SessionEventKind::done);
  REQUIRE(hosts.b.migration().activate(move.ref));
  CHECK(hosts.b.control().get({hosts.vm})->vcpus == (changes ? 2 : 1));
  CHECK(hosts.b.control().get({hosts.vm})->vcpus_maximum == 2);
}

TEST_CASE("a domain moves there and back, and a restart brings it back where it is") {
  Pair hosts;
  for (int i = 0; i < 2; ++i) {
    TestHost& from = i == 0 ? hosts.a : hosts.b;
    TestHost& to = i == 0 ? hosts.b : hosts.a;
    Move move(from, to, hosts.vm);
    move.run();
    INFO(move.sent.detail << " / " << move.received.detail);
    REQUIRE(move.received.kind == SessionEventKind::done);
    REQUIRE(to.migration().activate(move.ref));
    hosts.require_runs_at(to, from);
    move.close();
    if (i != 0) continue;
    // Its file is still in the folder of the host that it left.
    hosts.a.start();
    hosts.b.start();
    hosts.require_runs_at(hosts.b, hosts.a);
  }
}

TEST_CASE("the bandwidth is bounded") {
  Pair hosts("pattern = \"idle\"\nfill = 0.5");
  Move move(hosts.a, hosts.b, hosts.vm);
  move.options.bandwidth = {8u << 20};
  const auto start = std::chrono::steady_clock::now();
  move.run();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  REQUIRE(move.received.kind == SessionEventKind::done);
  // 4 MiB at 8 MiB/s, and what may be saved up.
  CHECK(seconds.count() > 0.4);
}

TEST_CASE("a guest that writes faster than the channel carries is slowed down until it fits") {
  Pair hosts("dirty_rate = 40000\nfill = 1.0");
  Move move(hosts.a, hosts.b, hosts.vm);
  move.options.bandwidth = {48u << 20};
  move.options.maximum_downtime = {20'000};
  move.run();
  INFO(move.sent.detail);
  REQUIRE(move.sent.kind == SessionEventKind::done);
  CHECK(hosts.a.migration().progress(move.ref)->iteration > 4);
}

TEST_CASE("a refusal at the source's gate lets the guest go on there") {
  Pair hosts;
  Move move(hosts.a, hosts.b, hosts.vm);
  move.at_source_gate = [&] {
    CHECK(hosts.a.control().resume({hosts.vm}).error().code == Code::wrong_state);
    CHECK(hosts.a.control().pause({hosts.vm}).error().code == Code::wrong_state);
    return false;
  };
  move.run();
  CHECK(move.sent.kind == SessionEventKind::failed);
  CHECK(move.sent.detail.find("the test says no") != std::string::npos);
  CHECK(move.received.kind == SessionEventKind::failed);
  hosts.require_runs_at(hosts.a, hosts.b);
}

TEST_CASE("a refusal at the destination's gate lets the guest go on at the source") {
  Pair hosts;
  Move move(hosts.a, hosts.b, hosts.vm);
  move.at_destination_gate = [] { return false; };
  move.run();
  CHECK(move.sent.kind == SessionEventKind::failed);
  CHECK(move.received.kind == SessionEventKind::failed);
  hosts.require_runs_at(hosts.a, hosts.b);
}

TEST_CASE("a migration that is cancelled on either side ends at the source") {
  const bool at_source = GENERATE(true, false);
  Pair hosts("dirty_rate = 1000");
  Move move(hosts.a, hosts.b, hosts.vm);
  move.options.bandwidth = {1u << 20};
  REQUIRE(move.begin());
  TestHost& who = at_source ? hosts.a : hosts.b;
  std::thread canceller([&] {
    eventually([&] { return hosts.a.migration().progress(move.ref)->transferred.value > 0; });
    CHECK(who.migration().cancel(move.ref));
  });
  move.finish();
  canceller.join();
  CHECK(move.sent.kind == SessionEventKind::failed);
  CHECK(move.received.kind == SessionEventKind::failed);
  hosts.require_runs_at(hosts.a, hosts.b);
}

TEST_CASE("a session is asked for what its state allows") {
  Pair hosts;
  Migration& source = hosts.a.migration();
  Migration& destination = hosts.b.migration();
  const Uuid id = uuid_of(201);
  auto description = source.describe({hosts.vm});
  REQUIRE(description);
  CHECK(source.describe({hosts.vm})->configuration == description->configuration);
  CHECK(source.describe({uuid_of(9)}).error().code == Code::not_found);
  CHECK(source.next({id, hosts.vm, {}}).error().code == Code::not_found);
  CHECK(source.prepare({id, hosts.vm, *description, {}}).error().code == Code::already_exists);
  CHECK(source.start({{}, hosts.vm, {}}).error().code == Code::invalid_argument);
  CHECK(source.start({id, hosts.vm, {65, {}, {}}}).error().code == Code::limit_exceeded);

  REQUIRE(source.start({id, hosts.vm, {}}));
  CHECK(source.start({id, hosts.vm, {}}).error().code == Code::already_exists);
  CHECK(source.start({uuid_of(202), hosts.vm, {}}).error().code == Code::already_exists);
  CHECK(source.decide({id, hosts.vm, true, {}}).error().code == Code::wrong_state);
  CHECK(source.open({id, hosts.vm, ChannelKind::main, 0}).error().code == Code::wrong_state);
  CHECK(source.next({id, uuid_of(9), {}}).error().code == Code::not_found);
  CHECK(source.holding({id, hosts.vm})->migrating);
  CHECK(source.release({id, hosts.vm}).error().code == Code::wrong_state);
  CHECK(source.reclaim({id, hosts.vm}).error().code == Code::wrong_state);

  auto changed = *description;
  changed.memory.value += 4096;
  CHECK(destination.prepare({id, hosts.vm, changed, {}}).error().code == Code::invalid_argument);
  changed = *description;
  changed.format = "libvirt-xml";
  CHECK(destination.prepare({id, hosts.vm, changed, {}}).error().code == Code::invalid_argument);
  CHECK(destination.prepare({id, uuid_of(9), *description, {}}).error().code == Code::invalid_argument);
  REQUIRE(destination.prepare({id, hosts.vm, *description, {}}));
  CHECK(destination.open({id, hosts.vm, ChannelKind::disk, 0}).error().code == Code::unsupported);
  CHECK(destination.open({id, hosts.vm, ChannelKind::main, 1}).error().code == Code::invalid_argument);
  CHECK(destination.open({id, hosts.vm, ChannelKind::bulk, 64}).error().code == Code::invalid_argument);
  // Kept: a channel whose end is gone ends the session.
  const auto end = destination.open({id, hosts.vm, ChannelKind::main, 0});
  REQUIRE(end);
  CHECK(destination.open({id, hosts.vm, ChannelKind::main, 0}).error().code == Code::already_exists);
  CHECK_FALSE(destination.holding({id, hosts.vm})->present);
  CHECK(destination.holding({id, hosts.vm})->migrating);
  CHECK(destination.activate({id, hosts.vm}).error().code == Code::wrong_state);

  REQUIRE(destination.close({id, hosts.vm}));
  REQUIRE(source.close({id, hosts.vm}));
  CHECK(source.close({id, hosts.vm}).error().code == Code::not_found);
  hosts.require_runs_at(hosts.a, hosts.b);
}

TEST_CASE("a domain moves only to where its disks are") {
  const std::string disk = "[[disk]]\ntarget = \"vda\"\nsource = \"vm-1.img\"\ncapacity = \"1 MiB\"\n";
  Pair hosts("dirty_rate = 100", disk);
  auto description = hosts.a.migration().describe({hosts.vm});
  REQUIRE(description);

  SECTION("the storage is shared") {
    Move move(hosts.a, hosts.b, hosts.vm);
    move.run();
    CHECK(move.received.kind == SessionEventKind::done);
  }
  SECTION("the destination has other storage") {
    hosts.b.options.settings["disks"] = hosts.root.make("elsewhere");
    hosts.b.start();
    CHECK(hosts.b.migration().prepare({uuid_of(200), hosts.vm, *description, {}}).error().code == Code::not_found);
  }
  SECTION("the description names a file of the destination's host") {
    for (const std::string source : {"/etc/passwd", "/disks/vm-1.img"}) {
      auto evil = *description;
      const std::string name = "\"vm-1.img\"";
      evil.configuration.replace(evil.configuration.find(name), name.size(), "\"" + source + "\"");
      CHECK(hosts.b.migration().prepare({uuid_of(200), hosts.vm, evil, {}}).error().code == Code::denied);
    }
  }
  SECTION("the file is a link to another one") {
    std::filesystem::remove(hosts.root / "disks/vm-1.img");
    write_file(hosts.root / "secret", std::string(1 << 20, 'x'));
    std::filesystem::create_symlink(hosts.root / "secret", hosts.root / "disks/vm-1.img");
    CHECK_FALSE(hosts.b.migration().prepare({uuid_of(200), hosts.vm, *description, {}}));
  }
}

TEST_CASE("copies of disks are unsupported, by name, at both ends") {
  Pair hosts;
  MigrationOptions options;
  options.copy_disks = true;
  const auto description = hosts.a.migration().describe({hosts.vm});
  REQUIRE(description);
  const auto started = hosts.a.migration().start({uuid_of(200), hosts.vm, options});
  const auto prepared = hosts.b.migration().prepare({uuid_of(200), hosts.vm, *description, options});
  for (const auto& answer : {started, prepared}) {
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == Code::unsupported);
    CHECK(answer.error().message.find("simulated hypervisor") != std::string::npos);
  }
  CHECK(state_of(hosts.a, hosts.vm) == DomainState::running);
}

TEST_CASE("a host without a state folder does not migrate") {
  TempDir root;
  TestHost host(root, "a");
  host.options.state_dir.clear();
  host.file("vm-1", domain_text(1, "dirty_rate = 1"));
  host.start();
  CHECK(host.migration().start({uuid_of(200), uuid_of(1), {}}).error().code == Code::unsupported);
}
