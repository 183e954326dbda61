// Two hosts in one process: everything that a migration module is granted, with
// a disk that survives the module and a hypervisor that survives it too.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "fake_hypervisor.hpp"
#include "module.hpp"
#include "vmsec/service/attestation.hpp"

namespace vmsec::migration::test {

class FakeHost;

// Connections between hosts. A wire is a socket pair, unless a test makes another.
class Network {
 public:
  using MakeWire = std::function<std::pair<Fd, Fd>(const JoinRequest&)>;  // source's end, destination's end

  void add(FakeHost& host);
  FakeHost* host(const std::string& name);
  Result<PeerContext> connect(const std::string& from, const std::string& to);
  Result<PeerReply> call(const std::string& from, const CallPeer& request);
  Result<StreamEnd> open_stream(const std::string& from, const OpenStream& request);
  void close(std::uint64_t connection);
  void host_died(const std::string& name);
  [[nodiscard]] Result<PeerContext> seen_from(const std::string& name, std::uint64_t connection);

  MakeWire make_wire;
  std::set<std::string> unreachable;
  std::atomic<std::uint64_t> streams = 0;

 private:
  struct Line {
    std::string a, b;
  };
  struct Wire {
    std::string a, b;
    Fd fd;
  };
  PeerContext context(const std::string& local, const std::string& peer, std::uint64_t number) const;

  std::mutex mutex_;
  std::map<std::string, FakeHost*> hosts_;
  std::map<std::uint64_t, Line> lines_;
  std::vector<Wire> wires_;
  std::uint64_t last_ = 0;
};

// One run of the agent: once it is dead, its services answer nothing any more.
struct Life {
  std::atomic<bool> dead = false;
};

enum class When { before, after };
struct Crash {
  std::uint64_t step = 0;  // 0: never
  When when = When::before;
};

// Set by the test while the host's threads look at it.
class CrashPoint {
 public:
  CrashPoint& operator=(Crash crash) {
    const std::lock_guard lock(mutex_);
    crash_ = crash;
    return *this;
  }
  [[nodiscard]] bool is(std::uint64_t step, When when) const {
    const std::lock_guard lock(mutex_);
    return crash_.step == step && crash_.when == when;
  }

 private:
  mutable std::mutex mutex_;
  Crash crash_;
};

class FakeHost {
 public:
  FakeHost(std::string host_name, Network& network, Watch& watch);
  ~FakeHost();

  // Loads the module anew, over the same disk and hypervisor.
  Status start();
  void stop();                                        // in order
  void die(const std::string& where = "on request");  // in the middle of whatever it does
  void restart();                                     // after die()
  [[nodiscard]] std::shared_ptr<MigrationModule> module() const;

  // Every act of the module goes through here: this is where it can die.
  template <class T>
  Result<T> act(const std::shared_ptr<Life>& life, const char* act_name, const std::function<Result<T>()>& what) {
    if (life->dead) return gone(act_name);
    const std::uint64_t step = ++steps_;
    if (crash.is(step, When::before)) {
      die(std::string("before ") + act_name);
      return gone(act_name);
    }
    Result<T> result = what();
    if (crash.is(step, When::after) && !life->dead) die(std::string("after ") + act_name);
    if (life->dead) return gone(act_name);
    return result;
  }

  [[nodiscard]] std::uint64_t steps() const { return steps_; }
  void count_from_zero() { steps_ = 0; }
  [[nodiscard]] bool audited(std::string_view action, Outcome outcome);
  [[nodiscard]] std::size_t undecided();
  // The module that attests has found something out about a host.
  void tell(Verdict after, std::string cause, std::string about = "host-b");

  const std::string name;
  Network& network;
  FakeHypervisor hypervisor;
  std::vector<Setting> settings;
  CrashPoint crash;
  [[nodiscard]] bool died() const { return died_; }
  [[nodiscard]] std::string death();

  std::mutex mutex;
  std::map<std::string, std::string> disk;
  std::vector<AuditEntry> journal;
  std::set<std::string> spent;
  std::vector<std::string> log;
  Verdict verdict = Verdict::trusted;
  std::vector<AttestationChange> changes;
  std::atomic<bool> has_attestation = true;
  std::atomic<std::uint64_t> missed = 0;
  std::atomic<Code> next_fails = Code::ok;  // what is answered to who asks for changes
  std::atomic<bool> peer_revoked = false;
  std::atomic<bool> audit_fails = false;
  std::string records_fail_at;                               // a phase's put fails
  std::function<void(const std::string& ticket)> at_ticket;  // while one is looked at
  std::atomic<int> attestations = 0;

 private:
  static std::unexpected<Error> gone(const char* what) {
    return fail(Code::unavailable, std::string(what) + ": the agent is dead");
  }
  Services services(const std::shared_ptr<Life>& life);

  std::atomic<std::uint64_t> steps_ = 0;
  std::atomic<bool> died_ = false;
  std::string death_;
  mutable std::mutex module_mutex_;
  std::shared_ptr<Life> life_;
  std::shared_ptr<MigrationModule> module_;
};

Setting text_setting(std::string path, std::string text);
Setting integer_setting(std::string path, std::int64_t number);

inline const Uuid kDomain = *Uuid::parse("11111111-2222-4333-8444-555555555555");

// host-a with the guest, host-b without.
struct Pair {
  explicit Pair(std::vector<Setting> a_settings = {}, std::vector<Setting> b_settings = {});
  ~Pair();

  Result<MigrationStatus> migrate(Cipher cipher = Cipher::policy, std::uint32_t bulk = 2);
  // Starts one and waits for its end.
  MigrationStatus run(Cipher cipher = Cipher::policy, std::uint32_t bulk = 2);
  [[nodiscard]] bool runs_at_source();
  [[nodiscard]] bool runs_at_destination();

  Watch watch;
  Network network;
  FakeHost a{"host-a", network, watch};
  FakeHost b{"host-b", network, watch};
  const std::string memory;
  int tickets = 0;
  bool copy_disks = false;  // of the next migration
};

// Waits until it is true, for a time that no healthy run needs.
bool eventually(const std::function<bool()>& condition);

}  // namespace vmsec::migration::test
