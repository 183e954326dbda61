#include "sim_host.hpp"

#include <algorithm>

#include "cpu_shares.hpp"

namespace vmsec::sim {

SimHost::~SimHost() {
  for (auto& [uuid, domain] : domains_)
    if (domain.machine) domain.machine->halt();
}

Result<SimHost::Domain*> SimHost::find(const Uuid& uuid, const std::string& what) {
  const auto found = domains_.find(uuid);
  if (found == domains_.end())
    return fail(Code::not_found,
                what + " " + uuid.text() + ": simulated host " + settings_.name + " has no such domain");
  return &found->second;
}

void SimHost::tell(EventKind kind, const Domain& domain, std::string detail) {
  events_.add(kind, domain.spec.uuid, domain.spec.name, std::move(detail));
}

DomainState SimHost::state_of(const Domain& domain) {
  if (!domain.machine) return DomainState::shut_off;
  if (domain.broken) return DomainState::crashed;
  return domain.machine->running() ? DomainState::running : DomainState::paused;
}

std::uint32_t SimHost::vcpus_of(const Domain& domain) {
  return domain.limits.resources.vcpus.value_or(domain.spec.vcpus);
}

DomainInfo SimHost::info_of(const Domain& domain) const {
  DomainInfo info;
  info.domain = domain.spec.uuid;
  info.name = domain.spec.name;
  info.state = state_of(domain);
  info.vcpus = vcpus_of(domain);
  info.vcpus_maximum = domain.spec.vcpus_maximum;
  info.memory_maximum = domain.spec.memory;
  if (domain.machine) {
    info.memory = domain.spec.memory;
    info.cpu_time = domain.machine->cpu_time();
    info.cpu_steal = domain.machine->cpu_steal();
  }
  for (const auto& disk : domain.spec.disks)
    info.disks.push_back({disk.target, disk_path(disk).value_or(disk.source), disk.capacity});
  for (const auto& nic : domain.spec.nics) info.nics.push_back({nic.target, nic.mac});
  info.persistent = store_.durable();
  info.tpm = domain.spec.tpm;
  info.tags = domain.spec.tags;
  return info;
}

DomainList SimHost::list() {
  const std::lock_guard lock(mutex_);
  DomainList list;
  for (const auto& [uuid, domain] : domains_) list.domains.push_back(info_of(domain));
  std::ranges::sort(list.domains, {}, &DomainInfo::name);
  return list;
}

Result<DomainInfo> SimHost::info(const Uuid& uuid) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(const auto* domain, find(uuid, "get domain"));
  return info_of(*domain);
}

Result<DomainSpec> SimHost::spec(const Uuid& uuid) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(const auto* domain, find(uuid, "describe domain"));
  DomainSpec spec = domain->spec;
  spec.vcpus = vcpus_of(*domain);
  return spec;
}

Status SimHost::pause(const Uuid& uuid) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(auto* domain, find(uuid, "pause domain"));
  const std::string what = "pause " + domain->spec.name;
  if (!domain->machine) return fail(Code::wrong_state, what + ": it is shut off");
  if (domain->held || domain->stopped) return fail(Code::wrong_state, what + ": a migration holds it");
  if (domain->paused) return {};
  domain->paused = true;
  domain->machine->stop();
  share_cpus();
  tell(EventKind::domain_paused, *domain);
  return {};
}

Status SimHost::resume(const Uuid& uuid) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(auto* domain, find(uuid, "resume domain"));
  const std::string what = "resume " + domain->spec.name;
  if (!domain->machine) return fail(Code::wrong_state, what + ": it is shut off");
  if (domain->held || domain->stopped)
    return fail(Code::wrong_state, what + ": it belongs to a migration that is not decided");
  return let_run(*domain, {});
}

// The one place where a guest begins to run.
Status SimHost::let_run(Domain& domain, const std::string& why) {
  const bool ran = domain.machine->running();
  domain.paused = false;
  domain.stopped = false;
  domain.machine->run();
  share_cpus();
  if (!ran) tell(EventKind::domain_resumed, domain, why);
  return {};
}

Result<std::shared_ptr<Machine>> SimHost::machine(const Uuid& uuid, const std::string& what) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(const auto* domain, find(uuid, what));
  if (!domain->machine) return fail(Code::wrong_state, what + " " + domain->spec.name + ": it is shut off");
  return domain->machine;
}

Result<Limits> SimHost::limits(const Uuid& uuid, const std::string& what) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(const auto* domain, find(uuid, what));
  if (!domain->machine) return fail(Code::wrong_state, what + " " + domain->spec.name + ": it is shut off");
  return domain->limits;
}

Status SimHost::change_limits(const Uuid& uuid, const std::string& what, const EditLimits& edit) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(auto* domain, find(uuid, what));
  if (!domain->machine) return fail(Code::wrong_state, what + " " + domain->spec.name + ": it is shut off");
  // A vCPU that waits for a page can be told nothing, and this host would wait with it.
  if (domain->machine->memory().behind().left() != 0)
    return fail(Code::wrong_state, what + " " + domain->spec.name + ": its memory follows by post-copy");
  const Limits before = domain->limits;
  Limits next = before;
  VMSEC_CHECK(edit(domain->spec, next));
  if (next.resources.vcpus != before.resources.vcpus && !domain->machine->running())
    return fail(Code::wrong_state, what + " " + domain->spec.name +
                                       ": it is paused, and a guest takes part in a change of its vCPUs: resume it");
  if (auto applied = apply(*domain, next); !applied) {
    static_cast<void>(apply(*domain, before));
    return fail(applied.error().in(what + " " + domain->spec.name + ", nothing is changed"));
  }
  if (auto written = write_down(*domain, domain->held, false); !written) {
    static_cast<void>(apply(*domain, before));
    return fail(written.error().in(what + " " + domain->spec.name + ", nothing is changed"));
  }
  tell(EventKind::limits_changed, *domain, what + " " + domain->spec.name);
  return {};
}

Status SimHost::apply(Domain& domain, const Limits& next) {
  domain.limits = next;
  share_cpus();
  return domain.machine->apply(next);
}

void SimHost::share_cpus() {
  std::vector<CpuShare> shares;
  std::vector<Machine*> machines;
  for (auto& [uuid, domain] : domains_) {
    if (!domain.machine || !domain.machine->running()) continue;
    const auto& limits = domain.limits.resources;
    double wanted = vcpus_of(domain) * domain.spec.workload.cpu;
    if (const auto quota = limits.cpu_quota_millis.value_or(0); quota != 0) wanted = std::min(wanted, quota / 1000.0);
    shares.push_back({static_cast<double>(limits.cpu_weight.value_or(1024)), wanted});
    machines.push_back(domain.machine.get());
  }
  share_out(settings_.cpus, shares);
  for (std::size_t i = 0; i < machines.size(); ++i)
    machines[i]->set_cpu_rate(static_cast<std::uint64_t>(shares[i].given * 1e6));
}

Status SimHost::write_down(const Domain& domain, bool held, bool gone) {
  return store_.put(
      {domain.spec.uuid, write_domain(domain.spec), domain.limits, held, gone, domain.off, domain.behind});
}

void SimHost::erase(const Uuid& uuid, const std::string& why) {
  const auto found = domains_.find(uuid);
  Domain domain = std::move(found->second);
  domains_.erase(found);
  if (domain.machine) {
    domain.machine->halt();
    tell(EventKind::domain_stopped, domain, why);
  }
  tell(EventKind::domain_undefined, domain, why);
  share_cpus();
}

}  // namespace vmsec::sim
