#include "migration_domain.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "copied_disks.hpp"

namespace vmsec::kvm {

namespace {

struct FreeText {
  void operator()(char* text) const { std::free(text); }
};

DomainState state_of(int state) {
  switch (state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
      return DomainState::running;
    case VIR_DOMAIN_PAUSED:
    case VIR_DOMAIN_PMSUSPENDED:
      return DomainState::paused;
    case VIR_DOMAIN_SHUTOFF:
      return DomainState::shut_off;
    case VIR_DOMAIN_CRASHED:
      return DomainState::crashed;
    // Its vCPUs may run until it is down.
    case VIR_DOMAIN_SHUTDOWN:
      return DomainState::running;
    default:
      return DomainState::unknown;
  }
}

struct StateAndReason {
  DomainState state = DomainState::unknown;
  int reason = 0;
};

Result<StateAndReason> state_and_reason_of(virDomainPtr domain, const std::string& operation) {
  int state = 0;
  int reason = 0;
  if (virDomainGetState(domain, &state, &reason, 0) < 0) return fail(virt_error(operation));
  return StateAndReason{state_of(state), reason};
}

// Of a broken one. It can go on nowhere.
bool is_left_of_post_copy(const StateAndReason& both) {
  return both.state == DomainState::paused && both.reason == VIR_DOMAIN_PAUSED_POSTCOPY_FAILED;
}

// One whose memory follows runs, and some of its vCPUs may go on running when that has broken. What it left behind
// never does.
void note_post_copy(const StateAndReason& both, Holding& holding) {
  if (both.state == DomainState::running)
    holding.migrating |=
        both.reason == VIR_DOMAIN_RUNNING_POSTCOPY || both.reason == VIR_DOMAIN_RUNNING_POSTCOPY_FAILED;
  if (!is_left_of_post_copy(both)) return;
  holding.state = DomainState::crashed;
  holding.migrating = false;
}

Result<DomainState> state_of(virDomainPtr domain, const std::string& operation) {
  VMSEC_TRY(const StateAndReason both, state_and_reason_of(domain, operation));
  return both.state;
}

// A field of job statistics; 0 where it is not known.
std::uint64_t field(virTypedParameterPtr params, int count, const char* name) {
  unsigned long long value = 0;
  if (virTypedParamsGetULLong(params, count, name, &value) == 1) return value;
  int number = 0;
  if (virTypedParamsGetInt(params, count, name, &number) == 1) return static_cast<std::uint64_t>(number);
  return 0;
}

class JobStatistics {
 public:
  JobStatistics() = default;
  JobStatistics(const JobStatistics&) = delete;
  JobStatistics& operator=(const JobStatistics&) = delete;
  ~JobStatistics() { virTypedParamsFree(params_, count_); }
  bool load(virDomainPtr domain, unsigned flags) {
    return virDomainGetJobStats(domain, &type_, &params_, &count_, flags) == 0;
  }
  [[nodiscard]] bool active() const { return type_ == VIR_DOMAIN_JOB_BOUNDED || type_ == VIR_DOMAIN_JOB_UNBOUNDED; }
  [[nodiscard]] std::uint64_t get(const char* name) const { return field(params_, count_, name); }

 private:
  int type_ = VIR_DOMAIN_JOB_NONE;
  virTypedParameterPtr params_ = nullptr;
  int count_ = 0;
};

// Why a domain is off. A libvirtd that was killed while it ended the migration has no reason
// when it is back, or its own: that may as well be a guest that ran on here and ended, but not
// where libvirtd had been told that it was loaded at the destination.
bool has_moved(int reason, Left left) {
  switch (reason) {
    case VIR_DOMAIN_SHUTOFF_MIGRATED:
      return true;
    case VIR_DOMAIN_SHUTOFF_UNKNOWN:
    case VIR_DOMAIN_SHUTOFF_DAEMON:
    case VIR_DOMAIN_SHUTOFF_CRASHED:
      return left == Left::told_loaded;
    default:
      return false;
  }
}

}  // namespace

Result<DomainDescription> describe_domain(const Connection& connection, const Uuid& uuid) {
  const std::string operation = "describe domain " + uuid.text();
  VMSEC_TRY(const DomainPtr domain, connection.domain(uuid, operation));
  VMSEC_TRY(const DomainState state, state_of(domain.get(), operation));
  if (state != DomainState::running && state != DomainState::paused)
    return fail(Code::wrong_state, operation + ": it is not running");
  const std::unique_ptr<char, FreeText> xml(
      virDomainGetXMLDesc(domain.get(), VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_MIGRATABLE));
  if (!xml) return fail(virt_error(operation));
  virDomainInfo info{};
  if (virDomainGetInfo(domain.get(), &info) < 0) return fail(virt_error(operation));
  DomainDescription description;
  description.domain = uuid;
  description.name = virDomainGetName(domain.get());
  description.format = "libvirt-xml";
  description.configuration = xml.get();
  description.memory = Bytes{static_cast<std::uint64_t>(info.maxMem) * 1024};
  description.vcpus = info.nrVirtCpu;
  return description;
}

Status add_disks(const Connection& connection, const std::vector<std::string>& shared_roots,
                 DomainDescription& description) {
  VMSEC_TRY(description.disks, disks_to_copy(description.configuration, shared_roots));
  const std::string operation = "describe domain " + description.domain.text();
  VMSEC_TRY(const DomainPtr domain, connection.domain(description.domain, operation));
  for (DescribedDisk& disk : description.disks) {
    if (!disk.stays.empty()) continue;
    virDomainBlockInfo info{};
    if (virDomainGetBlockInfo(domain.get(), disk.target.c_str(), &info, 0) == 0)
      disk.capacity = {info.capacity};
    else
      disk.stays = "of unknown size";
  }
  return {};
}

Result<Holding> domain_holding(const Connection& connection, const Uuid& uuid, Left left) {
  const std::string operation = "look for domain " + uuid.text();
  Holding holding;
  const auto domain = connection.domain(uuid, operation);
  if (!domain) {
    if (domain.error().code == Code::not_found) return holding;
    return fail(domain.error());
  }
  // The job first: a state that was read before the job's end would be one that the job has changed since.
  JobStatistics job;
  const bool has_job = job.load(domain->get(), 0);
  const auto both = state_and_reason_of(domain->get(), operation);
  if (!both) {
    if (both.error().code == Code::not_found) return holding;
    return fail(both.error());
  }
  holding.present = true;
  holding.state = both->state;
  holding.moved = both->state == DomainState::shut_off && has_moved(both->reason, left);
  // libvirt tells of no job where the domain is off; of an active one it does.
  const bool active = both->state == DomainState::running || both->state == DomainState::paused;
  holding.migrating = has_job ? job.active() : active;
  note_post_copy(*both, holding);
  return holding;
}

Result<TransferProgress> job_progress(const Connection& connection, const Uuid& uuid, Job which) {
  const std::string operation = "progress of domain " + uuid.text();
  VMSEC_TRY(const DomainPtr domain, connection.domain(uuid, operation));
  JobStatistics job;
  constexpr unsigned kCompleted = VIR_DOMAIN_JOB_STATS_COMPLETED | VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED;
  if (!job.load(domain.get(), which == Job::completed ? kCompleted : 0)) return fail(virt_error(operation));
  TransferProgress progress;
  if (which == Job::active && !job.active()) return progress;
  progress.total = Bytes{job.get(VIR_DOMAIN_JOB_MEMORY_TOTAL) + job.get(VIR_DOMAIN_JOB_DISK_TOTAL)};
  progress.transferred = Bytes{job.get(VIR_DOMAIN_JOB_MEMORY_PROCESSED) + job.get(VIR_DOMAIN_JOB_DISK_PROCESSED)};
  progress.remaining = Bytes{job.get(VIR_DOMAIN_JOB_MEMORY_REMAINING) + job.get(VIR_DOMAIN_JOB_DISK_REMAINING)};
  const std::uint64_t page = std::max<std::uint64_t>(job.get(VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE), 1);
  progress.dirty_rate = BytesPerSecond{job.get(VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE) * page};
  progress.iteration = static_cast<std::uint32_t>(job.get(VIR_DOMAIN_JOB_MEMORY_ITERATION));
  progress.downtime = Microseconds{job.get(VIR_DOMAIN_JOB_DOWNTIME) * 1000};
  return progress;
}

Status run_domain(const Connection& connection, const Uuid& uuid, const std::string& operation) {
  VMSEC_TRY(const DomainPtr domain, connection.domain(uuid, operation));
  VMSEC_TRY(const DomainState state, state_of(domain.get(), operation));
  if (state == DomainState::running) return {};
  if (state != DomainState::paused)
    return fail(Code::wrong_state, operation + ": it is not paused but off, its memory is gone");
  if (virDomainResume(domain.get()) == 0) return {};
  const Error error = virt_error(operation);
  // Somebody was faster, to the same end.
  const auto now = state_of(domain.get(), operation);
  if (now && *now == DomainState::running) return {};
  return fail(error);
}

Status destroy_broken_domain(const Connection& connection, const Uuid& uuid, const std::string& operation) {
  const auto domain = connection.domain(uuid, operation);
  if (!domain) return domain.error().code == Code::not_found ? Status() : Status(fail(domain.error()));
  VMSEC_TRY(const StateAndReason both, state_and_reason_of(domain->get(), operation));
  if (!is_left_of_post_copy(both) || virDomainDestroy(domain->get()) == 0) return {};
  const Error error = virt_error(operation);
  return error.code == Code::not_found ? Status() : Status(fail(error));
}

Status remove_domain(const Connection& connection, const Uuid& uuid, const std::string& operation) {
  const auto domain = connection.domain(uuid, operation);
  if (!domain) return domain.error().code == Code::not_found ? Status() : Status(fail(domain.error()));
  VMSEC_TRY(const DomainState state, state_of(domain->get(), operation));
  if (state == DomainState::running) return fail(Code::wrong_state, operation + ": it runs");
  const bool kept = virDomainIsPersistent(domain->get()) == 1;
  if (state != DomainState::shut_off && virDomainIsActive(domain->get()) == 1 && virDomainDestroy(domain->get()) < 0)
    return fail(virt_error(operation));
  // The other end of the migration may use the same nvram file.
  constexpr unsigned kUndefine = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                                 VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_KEEP_NVRAM;
  if (kept && virDomainUndefineFlags(domain->get(), kUndefine) < 0) {
    const Error error = virt_error(operation);
    if (error.code != Code::not_found) return fail(error);
  }
  return {};
}

// Of any other domain libvirt would refuse it, and forget what its job is at.
Status expect_behind(const Connection& connection, const Uuid& uuid, const std::string& name) {
  const std::string operation = "take up the post-copy of domain " + uuid.text();
  VMSEC_TRY(const DomainPtr domain, connection.domain(uuid, operation));
  VMSEC_TRY(const StateAndReason both, state_and_reason_of(domain.get(), operation));
  if (name != virDomainGetName(domain.get())) return fail(Code::wrong_state, operation + ": it has another name here");
  if (both.state == DomainState::running && both.reason == VIR_DOMAIN_RUNNING_POSTCOPY_FAILED) return {};
  return fail(Code::wrong_state, operation +
                                     ": it does not run here with a post-copy that has broken; if it runs, and "
                                     "is whole, resolve the migration");
}

Result<bool> follows_again(const Connection& connection, const Uuid& uuid) {
  const std::string operation = "look at the post-copy of domain " + uuid.text();
  VMSEC_TRY(const DomainPtr domain, connection.domain(uuid, operation));
  VMSEC_TRY(const StateAndReason both, state_and_reason_of(domain.get(), operation));
  return both.state == DomainState::running && both.reason == VIR_DOMAIN_RUNNING_POSTCOPY;
}

Status expect_absent(const Connection& connection, const Uuid& uuid, const std::string& name) {
  const std::string operation = "prepare for domain " + uuid.text();
  VMSEC_TRY(const Holding holding, domain_holding(connection, uuid));
  if (holding.present) return fail(Code::already_exists, operation + ": it is on this host already");
  VMSEC_TRY(const ConnectionLease lease, connection.lease());
  const DomainPtr namesake(virDomainLookupByName(lease.get(), name.c_str()));
  if (namesake) return fail(Code::already_exists, operation + ": another domain here has its name, " + name);
  const Error error = virt_error(operation);
  return error.code == Code::not_found ? Status() : Status(fail(error));
}

}  // namespace vmsec::kvm
