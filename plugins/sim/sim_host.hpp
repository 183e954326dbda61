// One simulated host: its domains, who of them runs, and what is written down
// about them. The capabilities are thin faces over it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "event_ring.hpp"
#include "faults.hpp"
#include "host_settings.hpp"
#include "machine.hpp"
#include "store.hpp"
#include "vmsec/capability/domain_control.hpp"

namespace vmsec::sim {

// Any thread may call. One lock over all that changes who runs; what is written
// down is on the disk before it is acted upon (README.md: "Who may run").
class SimHost {
 public:
  static Result<std::unique_ptr<SimHost>> open(HostSettings settings, std::unique_ptr<Faults> faults);
  ~SimHost();

  [[nodiscard]] const HostSettings& settings() const { return settings_; }
  [[nodiscard]] Faults& faults() { return *faults_; }
  [[nodiscard]] EventRing& events() { return events_; }
  [[nodiscard]] bool durable() const { return store_.durable(); }

  // ---- domains ----
  DomainList list();
  Result<DomainInfo> info(const Uuid& uuid);
  // With the number of vCPUs that it has now.
  Result<DomainSpec> spec(const Uuid& uuid);
  Status pause(const Uuid& uuid);
  Status resume(const Uuid& uuid);
  // A new domain, shut off. Its disks' files are there.
  Status define_new(DomainSpec spec);
  Status start(const Uuid& uuid);
  // `wrong_state` unless it is shut off, and no migration's.
  Status undefine(const Uuid& uuid);
  // As spec(), its disks by their whole paths.
  Result<DomainSpec> spec_with_paths(const Uuid& uuid);
  // `wrong_state` where the domain is shut off. `what` begins the errors.
  Result<std::shared_ptr<Machine>> machine(const Uuid& uuid, const std::string& what);
  Result<Limits> limits(const Uuid& uuid, const std::string& what);
  // Lets `edit` change the limits, writes them down, and applies them: all or none. `wrong_state` for another
  // number of vCPUs where it is paused.
  using EditLimits = std::function<Status(const DomainSpec&, Limits&)>;
  Status change_limits(const Uuid& uuid, const std::string& what, const EditLimits& edit);

  // ---- the source of a move ----
  // `wrong_state` where it is shut off, or belongs to an earlier move.
  Result<std::shared_ptr<Machine>> check_outgoing(const Uuid& uuid);
  // Stops the guest; nobody but the calls below moves it on.
  Status stop_for_move(const Uuid& uuid);
  // From here on a restart does not start it again.
  Status hold_for_move(const Uuid& uuid);
  // The move failed, for certain.
  void go_on(const Uuid& uuid, const std::string& why);
  // It runs elsewhere, or will: this copy never again.
  Status forget_moved(const Uuid& uuid);
  // Either end of a post-copy that failed: what is here is not whole, or ran on elsewhere. It never runs again.
  void lose(const Uuid& uuid, const std::string& why);

  // ---- the destination of a move ----
  // Whether this host would take it; opens its disks.
  Result<std::vector<Fd>> check_incoming(const DomainSpec& spec);
  // Adds the loaded copy: paused, held, written down.
  Status add_loaded(std::shared_ptr<Machine> machine, const Limits& limits);
  // Lets it run, still held: its memory follows. Written down, and so is that all of it has come.
  Status run_loaded(const Uuid& uuid);
  Status note_whole(const Uuid& uuid);

  // ---- resolving (capability/migration.hpp has the contracts) ----
  Holding holding(const Uuid& uuid);
  Status hold(const Uuid& uuid);
  Status take_up(const Uuid& uuid, const std::string& why);  // activate, reclaim
  enum class Copy { destination, source };
  Status destroy(const Uuid& uuid, Copy copy);
  Status unhold(const Uuid& uuid);

 private:
  struct Domain {
    DomainSpec spec;
    Limits limits;
    std::shared_ptr<Machine> machine;  // null: shut off
    bool paused = false;               // by pause()
    bool stopped = false;              // by a move that is not decided
    bool held = false;
    bool behind = false;  // its post-copy is not over, or broken: what a restart finds is not booted for it
    bool broken = false;  // by a post-copy
    bool off = false;     // defined, and not started yet
  };

  SimHost(HostSettings settings, std::unique_ptr<Faults> faults, Store store)
      : settings_(std::move(settings)), faults_(std::move(faults)), store_(std::move(store)) {}

  Status define_all();
  Status define(const std::string& path, const std::map<Uuid, StoredDomain>& stored);
  enum class Power { as_host, off };
  Status add(DomainSpec spec, const Limits& limits, bool held, Power power = Power::as_host, bool behind = false);
  [[nodiscard]] Result<std::string> disk_path(const DiskSpec& disk) const;
  Result<std::vector<Fd>> open_disks(const DomainSpec& spec, MakeFile make) const;
  [[nodiscard]] Status check_room(const DomainSpec& spec) const;
  Status power_on(Domain& domain, const std::string& why);
  Result<Domain*> find(const Uuid& uuid, const std::string& what);
  Status write_down(const Domain& domain, bool held, bool gone);
  Status let_run(Domain& domain, const std::string& why);
  Status apply(Domain& domain, const Limits& next);
  void share_cpus();
  void erase(const Uuid& uuid, const std::string& why);
  void tell(EventKind kind, const Domain& domain, std::string detail = {});
  static std::uint32_t vcpus_of(const Domain& domain);
  static DomainState state_of(const Domain& domain);
  [[nodiscard]] DomainInfo info_of(const Domain& domain) const;

  const HostSettings settings_;
  const std::unique_ptr<Faults> faults_;
  EventRing events_;
  std::mutex mutex_;
  Store store_;
  std::map<Uuid, Domain> domains_;
};

}  // namespace vmsec::sim
