// Keeps VMs as the policy in force says while VMs start and arrive, and modules are started again (host.enforce).
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "vmsec/capability/events.hpp"
#include "vmsec/export.hpp"
#include "vmsec/service/host_control.hpp"
#include "vmsec/service/journal.hpp"

namespace vmsec::host {

// What an Enforcer sees of its host, and does there. Called from one thread.
class VMSEC_EXPORT EnforcedHost {
 public:
  struct Module {
    std::string name;
    bool running = true;  // false: its process has ended, and the next has not begun
    std::uint32_t restarts = 0;
  };
  // Other objects: another policy is in force, or other grants stand withdrawn.
  struct Rules {
    std::shared_ptr<const void> policy;
    std::shared_ptr<const void> grants;
    friend bool operator==(const Rules&, const Rules&) = default;
  };

  virtual ~EnforcedHost() = default;
  // Waits a moment where there are none.
  virtual Result<EventList> events(std::uint64_t after) = 0;
  virtual Result<std::vector<DomainInfo>> domains() = 0;
  virtual Result<DomainInfo> domain(const Uuid& domain) = 0;
  virtual std::vector<Module> modules() = 0;  // those that enforce
  virtual Rules rules() = 0;
  // None: the policy says nothing of it.
  virtual std::optional<DomainChanges> apply(const DomainInfo& domain, const std::string& module) = 0;
  // What could not be enforced, and that it could in the end.
  virtual void record(const std::string& module, const AuditEntry& entry) = 0;
};

// A failure that may pass is tried again, and told when it fails once more; any other is told at once, and tried again
// when its VM or module begins anew, or other rules are in force.
class VMSEC_EXPORT Enforcer {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Clock = std::function<Time()>;
  static constexpr std::chrono::seconds kRetry{1};  // doubled up to the next
  static constexpr std::chrono::seconds kLongestRetry{60};

  // `host` outlives it.
  explicit Enforcer(EnforcedHost& host, Clock clock = std::chrono::steady_clock::now)
      : host_(host), clock_(std::move(clock)) {}
  ~Enforcer() { stop(); }
  Enforcer(const Enforcer&) = delete;
  Enforcer& operator=(const Enforcer&) = delete;

  // Marks all VMs. An error where the backend has no events: then it would miss what comes.
  Status begin();
  // One round: what has changed is looked at, and what is marked is enforced.
  void step();
  // Rounds, in a thread of its own.
  void run();
  // Waits for the call of a module that is under way; no other begins.
  void stop();

 private:
  struct Failure {
    Code code = Code::ok;
    Time again;  // max(): no sooner than something begins anew
    std::chrono::steady_clock::duration pause{};
    bool told = false;
  };
  using Key = std::pair<Uuid, std::string>;  // VM and module

  void listen();
  void note(const Event& event);
  void look_at_modules();
  void look_at_rules();
  void mark_all();
  void mark(const Uuid& domain);
  void mark_retries();
  void enforce();
  void enforce(const Uuid& domain, const std::set<std::string>& modules);
  void apply(const DomainInfo& domain, const std::string& module);
  bool is_running(const Uuid& domain);
  void settle(const DomainInfo& domain, const DomainChanges& outcome);
  void fail_at(const DomainInfo& domain, const std::string& module, const Error& error);

  EnforcedHost& host_;
  const Clock clock_;
  std::uint64_t seen_ = 0;
  bool all_ = true;                               // every VM is to be marked
  std::map<Uuid, std::set<std::string>> marked_;  // with these modules
  std::set<Key> retries_;                         // of those
  std::set<std::string> silent_;                  // modules that did not answer in this round
  std::map<std::string, EnforcedHost::Module> modules_;
  EnforcedHost::Rules rules_;
  std::map<Key, Failure> failures_;
  std::string blind_;       // why it hears no events; empty: it does
  std::string unanswered_;  // why the VMs are not known; empty: they are
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace vmsec::host
