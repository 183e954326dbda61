// A migration between two hosts as a test drives it.
#pragma once

#include "real_hosts.hpp"

namespace vmsec::kvm::test {

struct Guest {
  std::string memory_mib = "64";
  std::string command_line = "fill=16 dirty=4 rate=8";
  bool persistent = true;
  bool paused = false;
  std::string devices = {};
};

class Pair {
 public:
  explicit Pair(const Guest& guest = {}, const std::map<std::string, std::string>& settings = {})
      : root_(std::filesystem::temp_directory_path() / ("vmsec-kvm-" + std::to_string(::getpid()))),
        a("A", (root_ / "a").string(), settings),
        b("B", (root_ / "b").string(), settings),
        ref{random_uuid(), random_uuid()},
        name("km-" + ref.domain.text().substr(24)) {
    const std::string text = xml(guest);
    virDomainPtr domain =
        guest.persistent ? virDomainDefineXML(a.connect, text.c_str()) : virDomainCreateXML(a.connect, text.c_str(), 0);
    REQUIRE(domain != nullptr);
    if (guest.persistent) REQUIRE(virDomainCreate(domain) == 0);
    if (guest.paused) REQUIRE(virDomainSuspend(domain) == 0);
    virDomainFree(domain);
    if (!guest.paused) REQUIRE(a.ticks(ref.domain));
    watcher_ = std::thread([this] { watch(); });
  }
  ~Pair() {
    watching_ = false;
    watcher_.join();
    relays.clear();
    a.migration.reset();
    b.migration.reset();
    a.clean(ref.domain);
    b.clean(ref.domain);
    std::filesystem::remove_all(root_);
    CHECK_FALSE(ran_twice);
  }

  void begin(MigrationOptions options = {}) {
    const auto description = a.migration->describe({ref.domain});
    REQUIRE(description);
    CHECK(a.migration->describe({ref.domain})->configuration == description->configuration);
    const auto prepared = b.migration->prepare({ref.migration, ref.domain, *description, options});
    INFO((prepared ? "" : prepared.error().message));
    REQUIRE(prepared);
    const auto started = a.migration->start({ref.migration, ref.domain, options});
    INFO((started ? "" : started.error().message));
    REQUIRE(started);
  }

  // Connects the channels that have come, and keeps the events.
  void carry() {
    auto event = a.migration->next({ref.migration, ref.domain, Microseconds{5000}});
    REQUIRE(event);
    if (event->kind == SessionEventKind::channel)
      connect(std::move(*event));
    else if (event->kind != SessionEventKind::none)
      from_a.push_back(std::move(*event));
    auto other = b.migration->next({ref.migration, ref.domain, Microseconds{5000}});
    REQUIRE(other);
    if (other->kind != SessionEventKind::none) from_b.push_back(std::move(*other));
  }

  // Carries channels until `side` raises `kind`; other events are kept in `seen`.
  enum class Side { source, destination };
  SessionEvent await(Side side, SessionEventKind kind) {
    SessionEvent wanted;
    const bool came = eventually([&] {
      carry();
      auto& mine = side == Side::source ? from_a : from_b;
      for (auto at = mine.begin(); at != mine.end(); ++at) {
        if (at->kind != kind) continue;
        wanted = std::move(*at);
        mine.erase(at);
        return true;
      }
      return false;
    });
    INFO("waited for event " << static_cast<int>(kind) << events());
    REQUIRE(came);
    return wanted;
  }

  void decide(Side side, bool proceed, const std::string& reason = {}, bool runs = false) {
    auto& host = side == Side::source ? a : b;
    REQUIRE(host.migration->decide({ref.migration, ref.domain, proceed, reason, runs}));
  }

  void start_post_copy() {
    const auto begun = a.migration->start_post_copy(ref);
    INFO((begun ? "" : begun.error().message) << events());
    REQUIRE(begun);
  }

  // As far as the destination's gate.
  void reach_destination_gate() {
    await(Side::source, SessionEventKind::gate);
    decide(Side::source, true);
    await(Side::destination, SessionEventKind::gate);
  }

  void close() {
    relays.clear();
    for (Host* host : {&a, &b}) {
      const auto closed = host->migration->close(ref);
      INFO((closed ? "" : closed.error().message));
      CHECK(closed);
    }
    for (const char* side : {"a", "b"}) CHECK(std::filesystem::is_empty(root_ / side));
  }

  void check_goes_on_at_source() {
    CHECK(a.ticks(ref.domain));
    CHECK_FALSE(b.present(ref.domain));
    CHECK_FALSE(a.context->held.is_held(ref.domain));
    CHECK_FALSE(b.context->held.is_held(ref.domain));
  }

  [[nodiscard]] std::size_t channels() const { return relays.size(); }

 private:
  std::filesystem::path root_;

 public:
  Host a;
  Host b;
  const SessionRef ref;
  const std::string name;
  std::vector<std::unique_ptr<Relay>> relays;  // control is the first
  std::vector<SessionEvent> from_a;
  std::vector<SessionEvent> from_b;
  std::atomic<bool> ran_twice = false;

 private:
  std::string xml(const Guest& guest) const {
    return "<domain type='qemu'><name>" + name + "</name><uuid>" + ref.domain.text() + "</uuid><memory unit='MiB'>" +
           guest.memory_mib +
           "</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type><kernel>" +
           environment("VMSEC_TEST_KVM_KERNEL") + "</kernel><cmdline>" + guest.command_line +
           "</cmdline></os><features><acpi/></features><on_reboot>destroy</on_reboot><devices>"
           "<emulator>/usr/bin/qemu-system-x86_64</emulator><serial type='pty'/><controller type='usb' model='none'/>"
           "<memballoon model='none'/>" +
           guest.devices + "</devices></domain>";
  }

  void connect(SessionEvent event) {
    auto end = b.migration->open({ref.migration, ref.domain, event.channel, event.index});
    // Dropping the source's end is what tells it.
    if (!end) return;
    relays.push_back(std::make_unique<Relay>(std::move(event.fd), std::move(end->fd)));
  }

  std::string events() const {
    std::string text;
    for (const auto& event : from_a)
      text += "\n  source " + std::to_string(static_cast<int>(event.kind)) + " " + event.detail;
    for (const auto& event : from_b)
      text += "\n  destination " + std::to_string(static_cast<int>(event.kind)) + " " + event.detail;
    return text;
  }

  // A guest that has run at the destination never runs at the source again: so
  // this order of looking finds both running, and nothing else.
  void watch() {
    while (watching_) {
      if (b.state(ref.domain) == DomainState::running && a.state(ref.domain) == DomainState::running) ran_twice = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  std::atomic<bool> watching_ = true;
  std::thread watcher_;
};

}  // namespace vmsec::kvm::test
