#include <dirent.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <thread>

#include "sim_fixture.hpp"
#include "vmsec/guest_frame.hpp"

using namespace vmsec;
using namespace vmsec::sim;

namespace {

const Uuid kVm = uuid_of(1);

struct Host {
  TempDir root;
  TestHost a{root, "a"};
  explicit Host(const std::string& workload = "dirty_rate = 1000", const std::string& more = {}) {
    a.file("vm-1", domain_text(1, workload, more));
    a.start();
  }
};

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

}  // namespace

TEST_CASE("domains are listed by name, with what their files say") {
  Host host("dirty_rate = 10", "[[nic]]\ntarget = \"n0\"\nmac = \"52:54:00:00:00:01\"\n");
  host.a.file("other", domain_text(0, "dirty_rate = 10"));
  host.a.start();
  const auto list = host.a.control().list({});
  REQUIRE(list);
  REQUIRE(list->domains.size() == 2);
  CHECK(list->domains[0].name == "vm-0");
  const auto& info = list->domains[1];
  CHECK(info.domain == kVm);
  CHECK(info.state == DomainState::running);
  CHECK(info.vcpus == 2);
  CHECK(info.memory.value == 8u << 20);
  CHECK(info.nics.at(0).target == "n0");
  CHECK(info.persistent);
  CHECK(host.a.control().get({uuid_of(9)}).error().code == Code::not_found);
}

TEST_CASE("a paused domain stands still, and goes on where it was") {
  Host host("dirty_rate = 20000");
  REQUIRE(eventually([&] { return tick_of(host.a, kVm) > 0; }));
  REQUIRE(host.a.control().pause({kVm}));
  REQUIRE(host.a.control().pause({kVm}));
  CHECK(state_of(host.a, kVm) == DomainState::paused);
  const auto tick = tick_of(host.a, kVm);
  const auto picture = picture_of(host.a, kVm, {1, {}});
  CHECK(picture.wrong == 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(tick_of(host.a, kVm) == tick);
  CHECK(picture_of(host.a, kVm, {1, {}}).digest == picture.digest);
  REQUIRE(host.a.control().resume({kVm}));
  REQUIRE(host.a.control().resume({kVm}));
  CHECK(eventually([&] { return tick_of(host.a, kVm) > tick; }));
}

TEST_CASE("memory is a function of seed, page and generation, with its marker") {
  const std::string marker(64, 'M');
  Host host("pattern = \"sequential\"\ndirty_rate = 20000\nfill = 0.5\nmarker = \"" + marker + "\"");
  REQUIRE(eventually([&] { return tick_of(host.a, kVm) > 5; }));
  REQUIRE(host.a.control().pause({kVm}));
  CHECK(picture_of(host.a, kVm, {1, marker}).wrong == 0);
  // The check can fail: another seed, another marker.
  CHECK(picture_of(host.a, kVm, {2, marker}).wrong > 1000);
  CHECK(picture_of(host.a, kVm, {1, {}}).wrong > 1000);
  const auto page = host.a.memory().read({kVm, 4096, {4096}});
  REQUIRE(page);
  CHECK(page->bytes.ends_with(marker));
}

TEST_CASE("reading memory is bounded, and a mapping cannot write") {
  Host host;
  const std::uint64_t size = 8u << 20;
  CHECK(host.a.memory().read({kVm, 0, {(1u << 20) + 1}}).error().code == Code::invalid_argument);
  CHECK(host.a.memory().read({kVm, size - 4, {5}}).error().code == Code::invalid_argument);
  CHECK(host.a.memory().read({kVm, UINT64_MAX, {2}}).error().code == Code::invalid_argument);
  CHECK(host.a.memory().read({kVm, size - 4, {4}})->bytes.size() == 4);
  CHECK(host.a.memory().read({kVm, 4000, {200000}})->bytes.size() == 200000);
  const auto map = host.a.memory().map({kVm});
  REQUIRE(map);
  CHECK(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, map->file.get(), 0) == MAP_FAILED);
}

TEST_CASE("a domain that is not started is shut off, and says so to every call") {
  Host host;
  host.a.options.settings["autostart"] = "false";
  host.a.start();
  CHECK(state_of(host.a, kVm) == DomainState::shut_off);
  CHECK(host.a.control().pause({kVm}).error().code == Code::wrong_state);
  CHECK(host.a.control().resume({kVm}).error().code == Code::wrong_state);
  CHECK(host.a.resources().set({kVm, {}}).error().code == Code::wrong_state);
  CHECK(host.a.io().statistics({kVm}).error().code == Code::wrong_state);
  CHECK(host.a.memory().map({kVm}).error().code == Code::wrong_state);
  CHECK(host.a.migration().start({uuid_of(200), kVm, {}}).error().code == Code::wrong_state);
}

TEST_CASE("a host that runs already is not opened a second time") {
  Host host;
  const auto second = open_backend(host.a.options);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Code::wrong_state);
}

TEST_CASE("a host with a wrong setting, URI, file or record does not open") {
  TempDir root;
  TestHost a(root, "a");
  const auto refused = [&](const std::string& part) {
    const auto started = a.try_start();
    REQUIRE_FALSE(started);
    INFO(started.error().message);
    CHECK(started.error().message.find(part) != std::string::npos);
  };
  const auto setting = [&](const std::string& key, const std::string& value) {
    const auto before = a.options.settings;
    a.options.settings[key] = value;
    refused(key);
    a.options.settings = before;
  };
  setting("colour", "blue");
  setting("cpus", "0");
  setting("cpus", "two");
  setting("memory", "1 elephant");
  setting("autostart", "maybe");
  setting("disks", "relative");
  setting("tpm", "none");
  setting("fault.DomainControl.Explode", "unavailable");
  setting("fault.DomainControl.List", "sadness");
  setting("fault.DomainControl.List", "unavailable:0");
  setting("fault.stream.cut", "main");
  setting("fault.stream.cut", "disk:5");
  setting("fault.stream.cut", "bulk/x:5");
  setting("fault.die", "of boredom");
  a.options.uri = "qemu:///system";
  refused("sim:NAME");
  a.options.uri = "sim:a";
  a.file("vm-1", domain_text(1, "dirty_rate = 1"));
  a.file("vm-2", domain_text(1, "dirty_rate = 1"));
  refused("vm-2.toml");
  std::filesystem::remove(a.options.settings["domains"] + "/vm-2.toml");
  a.options.settings["memory"] = "4 MiB";
  refused("exceed the host's 4194304");
  a.options.settings.erase("memory");
  a.start();
  a.stop();
  write_file(a.options.state_dir + "/sim/" + kVm.text() + ".domain", "\xff\xff\xff");
  refused(kVm.text());
}

TEST_CASE("a call fails as often as it was asked to") {
  Host host;
  host.a.options.settings["fault.DomainControl.List"] = "unavailable:2";
  host.a.options.settings["fault.IoControl.Get"] = "denied";
  host.a.start();
  CHECK(host.a.control().list({}));
  CHECK(host.a.control().list({}).error().code == Code::unavailable);
  CHECK(host.a.control().list({}));
  CHECK(host.a.io().get({kVm}).error().code == Code::denied);
  CHECK(host.a.io().get({kVm}).error().code == Code::denied);
}

TEST_CASE("events come in order, and those that are lost are counted") {
  Host host;
  const auto first = host.a.events().next({0, {0}, 0});
  REQUIRE(first);
  REQUIRE(first->events.size() == 3);
  CHECK(first->events[0].kind == EventKind::domain_defined);
  CHECK(first->events[1].kind == EventKind::domain_started);
  CHECK(first->events[2].kind == EventKind::domain_resumed);
  CHECK(first->events[0].sequence == 1);
  CHECK(first->events[0].name == "vm-1");
  CHECK(first->dropped == 0);
  CHECK(host.a.events().next({first->last, {1000}, 0})->events.empty());

  // Someone who waits gets the next one.
  EventList heard;
  std::thread waiter([&] { heard = *host.a.events().next({first->last, {60'000'000}, 0}); });
  REQUIRE(host.a.control().pause({kVm}));
  waiter.join();
  REQUIRE(heard.events.size() == 1);
  CHECK(heard.events[0].kind == EventKind::domain_paused);

  for (std::size_t i = 0; i < EventRing::kKept; ++i) {
    REQUIRE(host.a.control().resume({kVm}));
    REQUIRE(host.a.control().pause({kVm}));
  }
  const auto late = host.a.events().next({first->last, {0}, 10});
  REQUIRE(late);
  CHECK(late->events.size() == 10);
  CHECK(late->last == first->last + 1 + 2 * EventRing::kKept);
  CHECK(late->dropped == late->last - first->last - EventRing::kKept);
  CHECK(late->events.front().sequence == first->last + late->dropped + 1);
}

TEST_CASE("every capability may be called from many threads at once") {
  Host host("dirty_rate = 5000");
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (unsigned round = 0; round < 30; ++round) {
        static_cast<void>(host.a.control().list({}));
        static_cast<void>(host.a.control().pause({kVm}));
        static_cast<void>(host.a.memory().read({kVm, 0, {65536}}));
        static_cast<void>(host.a.control().resume({kVm}));
        static_cast<void>(host.a.resources().set({kVm, {.cpu_weight = 100 + i}}));
        static_cast<void>(host.a.io().statistics({kVm}));
        static_cast<void>(host.a.migration().holding({uuid_of(200), kVm}));
        static_cast<void>(host.a.events().next({round, {0}, 0}));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  REQUIRE(host.a.control().resume({kVm}));
  CHECK(state_of(host.a, kVm) == DomainState::running);
}

TEST_CASE("a host is opened and closed hundreds of times, and leaves nothing open") {
  Host host("dirty_rate = 1000",
            "[[disk]]\ntarget = \"vda\"\nsource = \"d\"\ncapacity = \"64 KiB\"\nread = \"1 MB/s\"\n");
  host.a.stop();
  const auto before = open_descriptors();
  for (int i = 0; i < 200; ++i) {
    host.a.start();
    host.a.stop();
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("boot evidence is the TPM and the log of this moment") {
  Host host;
  CHECK(host.a.boot().host({}).error().code == Code::unsupported);
  host.a.options.tpm_tcti = "device:/dev/tpmrm0";
  host.a.options.event_log = host.root / "log";
  host.a.start();
  CHECK(host.a.boot().host({}).error().code == Code::not_found);
  write_file(host.root / "log", "one");
  CHECK(host.a.boot().host({})->event_log == "one");
  write_file(host.root / "log", "two");
  CHECK(host.a.boot().host({})->event_log == "two");
  CHECK(host.a.boot().host({})->tcti == "device:/dev/tpmrm0");
}

TEST_CASE("a guest has the agent that a test puts there, and none unasked") {
  Host host;
  const auto ask = [&](unsigned number) { return host.a.boot().guest({uuid_of(number), "who?", 5000}); };
  CHECK(ask(1).error().code == Code::unsupported);
  host.a.options.settings["guests"] = "relative";
  CHECK(host.a.try_start().error().code == Code::invalid_argument);
  host.a.options.settings["guests"] = host.root.make("guests");
  host.a.start();
  CHECK(ask(2).error().code == Code::not_found);
  CHECK(ask(1).error().code == Code::unavailable);
  const Fd door(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = (host.root / "guests") + "/" + uuid_of(1).text();
  REQUIRE(path.size() < sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  REQUIRE(::bind(door.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(door.get(), 1) == 0);
  std::thread agent([&] {
    const Fd asker(::accept(door.get(), nullptr, nullptr));
    GuestFrameReader reader;
    char byte = 0;
    while (::read(asker.get(), &byte, 1) == 1) {
      reader.add({&byte, 1});
      const auto frame = reader.next();
      if (!frame || !*frame) continue;
      const std::string answer = guest_frame::encode({(*frame)->number, "vm-1, to " + (*frame)->payload});
      static_cast<void>(::send(asker.get(), answer.data(), answer.size(), MSG_NOSIGNAL));
    }
  });
  const auto said = ask(1);
  agent.join();
  REQUIRE(said);
  CHECK(said->reply == "vm-1, to who?");
}

TEST_CASE("a host brings its own software TPM, which ends with it") {
  Host host;
  host.a.options.settings["tpm"] = "swtpm";
  const auto started = host.a.try_start();
  if (!started && started.error().code == Code::unsupported) {
    WARN("SKIPPED: " << started.error().message);
    return;
  }
  INFO((started ? std::string() : started.error().message));
  REQUIRE(started);
  const std::string socket = host.a.options.run_dir + "/tpm.sock";
  CHECK(host.a.boot().host({})->tcti == "swtpm:path=" + socket);
  CHECK(std::filesystem::is_socket(socket));
  host.a.stop();
  CHECK_FALSE(std::filesystem::exists(socket));
}
