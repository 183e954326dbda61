// Who may run a domain that moves: see README.md, "Who may run".
#include "sim_host.hpp"

namespace vmsec::sim {

Result<std::shared_ptr<Machine>> SimHost::check_outgoing(const Uuid& uuid) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(const auto* domain, find(uuid, "move domain"));
  const std::string what = "move " + domain->spec.name;
  if (!domain->machine) return fail(Code::wrong_state, what + ": it is shut off");
  if (domain->held || domain->stopped) return fail(Code::wrong_state, what + ": an earlier migration is not decided");
  return domain->machine;
}

Status SimHost::stop_for_move(const Uuid& uuid) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(auto* domain, find(uuid, "stop domain"));
  domain->stopped = true;
  domain->machine->stop();
  share_cpus();
  tell(EventKind::domain_paused, *domain, "switch-over of a migration");
  return {};
}

Status SimHost::hold_for_move(const Uuid& uuid) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(auto* domain, find(uuid, "hold domain"));
  VMSEC_CHECK(write_down(*domain, true, false));
  domain->held = true;
  return {};
}

void SimHost::go_on(const Uuid& uuid, const std::string& why) {
  const std::lock_guard lock(mutex_);
  const auto domain = find(uuid, "");
  if (!domain || !(*domain)->machine) return;
  auto& here = **domain;
  if (here.held) {
    // A record that stays "held" is safe: after a restart it starts nothing by itself.
    if (auto written = write_down(here, false, false); !written)
      tell(EventKind::unknown, here, written.error().message);
    here.held = false;
  }
  if (!here.stopped) return;
  here.stopped = false;
  if (!here.paused) static_cast<void>(let_run(here, why));
}

Status SimHost::forget_moved(const Uuid& uuid) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(auto* domain, find(uuid, "release domain"));
  VMSEC_CHECK(write_down(*domain, true, true));
  erase(uuid, "moved to another host");
  return {};
}

Result<std::vector<Fd>> SimHost::check_incoming(const DomainSpec& spec) {
  const std::lock_guard lock(mutex_);
  for (const auto& [uuid, other] : domains_) {
    if (uuid == spec.uuid || other.spec.name == spec.name)
      return fail(Code::already_exists,
                  "prepare for " + spec.name + ": " + other.spec.name + " " + uuid.text() + " is on this host already");
  }
  VMSEC_CHECK(check_room(spec));
  // A description comes from another host: it names no file of ours but those
  // that are there for it.
  for (const auto& disk : spec.disks) {
    const std::string folder = settings_.disks + "/";
    const bool ours = !disk.source.starts_with('/') ||
                      (disk.source.starts_with(folder) && disk.source.find('/', folder.size()) == std::string::npos);
    if (!ours)
      return fail(Code::denied,
                  "prepare for " + spec.name + ": disk " + disk.target + " names a file outside of " + settings_.disks);
  }
  auto disks = open_disks(spec, MakeFile::no);
  if (!disks)
    return fail(disks.error().in("prepare for " + spec.name +
                                 ", whose disks must be on storage that both hosts share (setting disks)"));
  return disks;
}

Status SimHost::add_loaded(std::shared_ptr<Machine> machine, const Limits& limits) {
  const std::lock_guard lock(mutex_);
  const DomainSpec& spec = machine->spec();
  VMSEC_CHECK(machine->apply(limits));
  VMSEC_CHECK(add(spec, limits, true));
  faults_->step("destination.recorded");
  Domain& domain = domains_.at(spec.uuid);
  domain.machine = std::move(machine);
  domain.stopped = true;
  tell(EventKind::domain_started, domain, "loaded by a migration, paused");
  return {};
}

Status SimHost::run_loaded(const Uuid& uuid) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(auto* domain, find(uuid, "run domain"));
  domain->behind = true;
  VMSEC_CHECK(write_down(*domain, true, false));
  return let_run(*domain, "loaded by a migration, its memory follows");
}

Status SimHost::note_whole(const Uuid& uuid) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(auto* domain, find(uuid, "run domain"));
  domain->behind = false;
  return write_down(*domain, domain->held, false);
}

void SimHost::lose(const Uuid& uuid, const std::string& why) {
  const std::lock_guard lock(mutex_);
  const auto domain = find(uuid, "");
  if (!domain || !(*domain)->machine) return;
  Domain& lost = **domain;
  lost.broken = lost.behind = true;
  lost.machine->stop();
  share_cpus();
  tell(EventKind::domain_stopped, lost, why);
  if (auto written = write_down(lost, true, false); !written) tell(EventKind::unknown, lost, written.error().message);
}

Holding SimHost::holding(const Uuid& uuid) {
  const std::lock_guard lock(mutex_);
  const auto found = domains_.find(uuid);
  if (found == domains_.end()) return {};
  // Held, and its memory is gone: it was stopped for a move, and has not run since.
  const bool moved = found->second.held && !found->second.machine;
  return {true, state_of(found->second), false, moved};
}

Status SimHost::hold(const Uuid& uuid) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(auto* domain, find(uuid, "hold domain"));
  if (domain->held) return {};
  VMSEC_CHECK(write_down(*domain, true, false));
  domain->held = true;
  return {};
}

// A copy whose RAM died with the process boots anew: what a host does with its
// domains after it lost power.
Status SimHost::take_up(const Uuid& uuid, const std::string& why) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(auto* domain, find(uuid, why));
  if (domain->broken || (domain->behind && !domain->machine))
    return fail(Code::wrong_state, why + " " + domain->spec.name + ": its post-copy is broken");
  if (!domain->machine && !domain->held)
    return fail(Code::wrong_state, why + " " + domain->spec.name + ": it is off, and no migration holds it");
  if (!domain->machine) VMSEC_CHECK(power_on(*domain, why + ": booted anew, its memory was lost"));
  const bool was_off = std::exchange(domain->off, false);
  if (domain->held || was_off) VMSEC_CHECK(write_down(*domain, false, false));
  domain->held = false;
  return let_run(*domain, why);
}

Status SimHost::destroy(const Uuid& uuid, Copy copy) {
  const std::lock_guard lock(mutex_);
  const auto found = domains_.find(uuid);
  if (found == domains_.end()) return {};  // done before
  const std::string what = std::string(copy == Copy::source ? "release " : "discard ") + found->second.spec.name;
  if (state_of(found->second) == DomainState::running) return fail(Code::wrong_state, what + ": it runs");
  // A file of it in the folder of domains must not bring it back.
  VMSEC_CHECK(write_down(found->second, true, true));
  erase(uuid, copy == Copy::source ? "moved to another host" : "its migration was not committed");
  return {};
}

// Off, as a definition that was never started: nothing starts it by itself.
Status SimHost::unhold(const Uuid& uuid) {
  const std::lock_guard lock(mutex_);
  const auto found = domains_.find(uuid);
  if (found == domains_.end()) return {};
  Domain& domain = found->second;
  if (!domain.held && !domain.broken) return {};
  const bool was_off = std::exchange(domain.off, true);
  if (auto written = write_down(domain, false, false); !written) {
    domain.off = was_off;
    return fail(written.error().in("unhold " + domain.spec.name));
  }
  domain.held = domain.stopped = false;
  if (!std::exchange(domain.broken, false) || !domain.machine) return {};
  domain.machine->halt();
  domain.machine.reset();
  share_cpus();
  tell(EventKind::domain_stopped, domain, "its broken post-copy is over");
  return {};
}

}  // namespace vmsec::sim
