// Domains that come by a definition, and go: defined shut off, started, undefined.
#include "sim_host.hpp"

namespace vmsec::sim {
Status SimHost::define_new(DomainSpec spec) {
  for (auto& disk : spec.disks) VMSEC_CHECK(measure_disk(disk));
  const std::lock_guard lock(mutex_);
  const Limits limits = unlimited(spec);
  return add(std::move(spec), limits, false, Power::off);
}

Status SimHost::start(const Uuid& uuid) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(auto* domain, find(uuid, "start domain"));
  const std::string what = "start " + domain->spec.name;
  if (domain->held) return fail(Code::wrong_state, what + ": a migration holds it");
  if (domain->machine)
    return fail(Code::wrong_state, what + (domain->machine->running() ? ": it runs" : ": it is paused; resume it"));
  VMSEC_CHECK(power_on(*domain, "started"));
  const bool was_off = std::exchange(domain->off, false), was_behind = std::exchange(domain->behind, false);
  if (auto written = write_down(*domain, false, false); !written) {
    domain->off = was_off;
    domain->behind = was_behind;
    domain->machine->halt();
    domain->machine.reset();
    tell(EventKind::domain_stopped, *domain, "its start could not be written down");
    return fail(written.error().in(what));
  }
  return let_run(*domain, "started");
}

Status SimHost::undefine(const Uuid& uuid) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(auto* domain, find(uuid, "undefine domain"));
  const std::string what = "undefine " + domain->spec.name;
  if (domain->held) return fail(Code::wrong_state, what + ": a migration holds it");
  if (domain->machine) return fail(Code::wrong_state, what + ": it is not shut off, and its memory would be lost");
  // A file of it in the folder of domains must not bring it back.
  VMSEC_CHECK(write_down(*domain, false, true));
  erase(uuid, "undefined");
  return {};
}

Result<DomainSpec> SimHost::spec_with_paths(const Uuid& uuid) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(const auto* domain, find(uuid, "export domain"));
  DomainSpec spec = domain->spec;
  for (auto& disk : spec.disks) {
    VMSEC_TRY(disk.source, disk_path(disk));
  }
  return spec;
}

}  // namespace vmsec::sim
