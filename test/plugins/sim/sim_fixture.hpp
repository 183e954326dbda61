// Simulated hosts for tests, and the migration module's part between two of them.
#pragma once

#include <sys/mman.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "guest_page.hpp"
#include "sim_backend.hpp"

namespace vmsec::sim {

class TempDir {
 public:
  TempDir() {
    std::string form = (std::filesystem::temp_directory_path() / "vmsec-sim-XXXXXX").string();
    path_ = ::mkdtemp(form.data());
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] std::string make(const std::string& name) const {
    std::filesystem::create_directories(*this / name);
    return *this / name;
  }

 private:
  std::string path_;
};

inline void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline Uuid uuid_of(unsigned number) {
  std::array<std::uint8_t, 16> bytes{};
  bytes[0] = 0x5e;
  bytes[15] = static_cast<std::uint8_t>(number);
  return Uuid(bytes);
}

// A host in folders of its own. Hosts that share `root` share their disks.
class TestHost {
 public:
  TestHost(const TempDir& root, const std::string& name) : name_(name) {
    options.uri = "sim:" + name;
    options.run_dir = root.make(name + "/run");
    options.state_dir = root.make(name + "/state");
    options.settings["domains"] = root.make(name + "/domains");
    options.settings["disks"] = root.make("disks");
    options.settings["cpus"] = "2";
  }
  void file(const std::string& domain, const std::string& text) {
    write_file(options.settings.at("domains") + "/" + domain + ".toml", text);
  }
  Result<void> try_start() {
    backend.reset();
    VMSEC_TRY(backend, open_backend(options));
    return {};
  }
  void start() {
    const auto started = try_start();
    INFO((started ? std::string() : started.error().message));
    REQUIRE(started);
  }
  void stop() { backend.reset(); }

  [[nodiscard]] DomainControl& control() const { return **backend->domain_control(); }
  [[nodiscard]] ResourceControl& resources() const { return **backend->resource_control(); }
  [[nodiscard]] IoControl& io() const { return **backend->io_control(); }
  [[nodiscard]] MemoryAccess& memory() const { return **backend->memory_access(); }
  [[nodiscard]] Migration& migration() const { return **backend->migration(); }
  [[nodiscard]] Events& events() const { return **backend->events(); }
  [[nodiscard]] BootEvidence& boot() const { return **backend->boot_evidence(); }

  BackendOptions options;
  std::unique_ptr<Backend> backend;

 private:
  std::string name_;
};

inline std::string domain_text(unsigned number, const std::string& workload, const std::string& more = {}) {
  return "name = \"vm-" + std::to_string(number) + "\"\nuuid = \"" + uuid_of(number).text() +
         "\"\nmemory = \"8 MiB\"\nvcpus = 2\nseed = " + std::to_string(number) + "\n[workload]\n" + workload + "\n" +
         more;
}

// Waits for what will come. A failure names nothing but the wait: the claim is the test's.
inline bool eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < until) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return condition();
}

inline DomainState state_of(const TestHost& host, const Uuid& domain) {
  const auto info = host.control().get({domain});
  return info ? info->state : DomainState::unknown;
}

inline std::uint64_t tick_of(const TestHost& host, const Uuid& domain) {
  const auto bytes = host.memory().read({domain, 0, {8}});
  REQUIRE(bytes);
  std::uint64_t tick = 0;
  std::memcpy(&tick, bytes->bytes.data(), sizeof tick);
  return tick;
}

// Reads a stopped domain's memory through its mapping, as an introspection tool
// would, and verifies each page by (seed, page, generation).
struct MemoryPicture {
  std::size_t wrong = 0;
  std::uint64_t writes = 0;
  Digest digest;
};
inline MemoryPicture picture_of(const TestHost& host, const Uuid& domain, const PageContent& content) {
  auto map = host.memory().map({domain});
  REQUIRE(map);
  const std::size_t size = map->regions.at(0).length.value;
  auto* bytes = static_cast<unsigned char*>(::mmap(nullptr, size, PROT_READ, MAP_SHARED, map->file.get(), 0));
  REQUIRE(bytes != MAP_FAILED);
  MemoryPicture picture;
  for (std::size_t page = 0; page < size / kPageSize; ++page) {
    const unsigned char* at = bytes + page * kPageSize;
    std::uint64_t generation = 0;
    std::memcpy(&generation, at, sizeof generation);
    if (!content.matches(page, generation, at)) ++picture.wrong;
    if (page != 0) picture.writes += generation;
    if (generation != 0 || page == 0) picture.digest += page_digest(page, at);
  }
  ::munmap(bytes, size);
  return picture;
}

// Carries one channel's bytes, both ways, each end on its own. Breaks it after
// `most` bytes of both ways together.
class Pump {
 public:
  Pump(Fd left, Fd right, std::uint64_t most) : left_(std::move(left)), right_(std::move(right)), left_over_(most) {
    forth_ = std::thread([this] { carry(left_.get(), right_.get()); });
    back_ = std::thread([this] { carry(right_.get(), left_.get()); });
  }
  ~Pump() {
    go_on();
    cut();
    forth_.join();
    back_.join();
  }
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;
  void cut() {
    ::shutdown(left_.get(), SHUT_RDWR);
    ::shutdown(right_.get(), SHUT_RDWR);
  }
  [[nodiscard]] std::uint64_t carried() const { return carried_.load(); }
  // Carries nothing more until it is told to go on.
  void hold() { held_ = true; }
  void go_on() {
    held_ = false;
    held_.notify_all();
  }

 private:
  void carry(int from, int to) {
    std::string buffer(65536, '\0');
    while (true) {
      held_.wait(true);
      auto count = ::recv(from, buffer.data(), buffer.size(), 0);
      if (count <= 0) break;
      const auto allowed = take(static_cast<std::uint64_t>(count));
      for (std::size_t done = 0; done < allowed;) {
        const auto sent = ::send(to, buffer.data() + done, allowed - done, MSG_NOSIGNAL);
        if (sent <= 0) return cut();
        done += static_cast<std::size_t>(sent);
      }
      carried_ += allowed;
      if (allowed < static_cast<std::uint64_t>(count)) return cut();
    }
    ::shutdown(to, SHUT_WR);
  }
  std::uint64_t take(std::uint64_t wanted) {
    std::uint64_t left = left_over_.load();
    while (!left_over_.compare_exchange_weak(left, left - std::min(left, wanted))) continue;
    return std::min(left, wanted);
  }

  const Fd left_;
  const Fd right_;
  std::atomic<std::uint64_t> left_over_;
  std::atomic<std::uint64_t> carried_{0};
  std::atomic<bool> held_ = false;
  std::thread forth_;
  std::thread back_;
};

// One move: plays the migration modules of both hosts.
class Move {
 public:
  Move(TestHost& from, TestHost& to, const Uuid& domain) : source(from), destination(to), ref{uuid_of(200), domain} {}
  ~Move() { close(); }
  Move(const Move&) = delete;
  Move& operator=(const Move&) = delete;

  MigrationOptions options;
  std::function<bool()> at_source_gate = [] { return true; };
  std::function<bool()> at_destination_gate = [] { return true; };
  std::map<ChannelKind, std::uint64_t> breaks;  // after how many bytes
  bool runs = false;                            // the destination is to load it running

  Status begin() {
    VMSEC_TRY(auto description, source.migration().describe({ref.domain}));
    VMSEC_CHECK(destination.migration().prepare({ref.migration, ref.domain, description, options}));
    VMSEC_CHECK(source.migration().start({ref.migration, ref.domain, options}));
    open_ = true;
    return {};
  }
  void finish() {
    std::thread receiver([this] { received = play(destination, at_destination_gate); });
    sent = play(source, at_source_gate);
    receiver.join();
  }
  void run() {
    const auto begun = begin();
    INFO((begun ? std::string() : begun.error().message));
    REQUIRE(begun);
    finish();
  }
  void close() {
    if (!open_) return;
    open_ = false;
    static_cast<void>(source.migration().close(ref));
    static_cast<void>(destination.migration().close(ref));
    pumps.clear();
  }

  TestHost& source;
  TestHost& destination;
  const SessionRef ref;
  SessionEvent sent;      // the source's last event
  SessionEvent received;  // the destination's
  std::vector<std::unique_ptr<Pump>> pumps;
  std::map<ChannelKind, Pump*> by_kind;  // the last of each

 private:
  SessionEvent play(TestHost& host, const std::function<bool()>& gate) {
    while (true) {
      auto event = host.migration().next({ref.migration, ref.domain, {60'000'000}});
      if (!event || event->kind == SessionEventKind::none) return {};
      if (event->kind == SessionEventKind::channel) {
        connect(*event);
      } else if (event->kind == SessionEventKind::gate) {
        static_cast<void>(host.migration().decide({ref.migration, ref.domain, gate(), "the test says no", runs}));
      } else {
        return std::move(*event);
      }
    }
  }
  void connect(SessionEvent& event) {
    auto far = destination.migration().open({ref.migration, ref.domain, event.channel, event.index});
    if (!far) return event.fd.reset();
    const auto most = breaks.contains(event.channel) ? breaks.at(event.channel) : UINT64_MAX;
    pumps.push_back(std::make_unique<Pump>(std::move(event.fd), std::move(far->fd), most));
    by_kind[event.channel] = pumps.back().get();
  }

  bool open_ = false;
};

}  // namespace vmsec::sim
