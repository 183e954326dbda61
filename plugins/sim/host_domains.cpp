// How domains come to a host: its records, the folder of domain files, power.
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "sim_host.hpp"

namespace vmsec::sim {
namespace {

// The limits of before, for the devices that there still are.
Limits fit(const Limits& stored, const DomainSpec& spec) {
  Limits out = unlimited(spec);
  const auto& from = stored.resources;
  if (from.cpu_weight) out.resources.cpu_weight = from.cpu_weight;
  if (from.cpu_quota_millis) out.resources.cpu_quota_millis = from.cpu_quota_millis;
  if (from.vcpus && *from.vcpus >= 1 && *from.vcpus <= spec.vcpus_maximum) out.resources.vcpus = from.vcpus;
  if (from.memory_limit) out.resources.memory_limit = from.memory_limit;
  for (const auto& pin : from.pins)
    if (pin.vcpu < spec.vcpus_maximum) out.resources.pins[pin.vcpu] = pin;
  const auto take = [](auto& to, const auto& all) {
    for (auto& each : to) {
      const auto found = std::ranges::find_if(all, [&](const auto& other) { return other.target == each.target; });
      if (found != all.end()) each = *found;
    }
  };
  take(out.io.disks, stored.io.disks);
  take(out.io.nics, stored.io.nics);
  return out;
}

Result<std::vector<std::string>> files_in(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (std::filesystem::directory_iterator each(folder, error), end; !error && each != end; each.increment(error))
    if (each->path().extension() == ".toml") paths.push_back(each->path().string());
  if (error) return fail(Code::io, "list domain files in " + folder + ": " + error.message());
  std::ranges::sort(paths);
  return paths;
}

}  // namespace

Result<std::unique_ptr<SimHost>> SimHost::open(HostSettings settings, std::unique_ptr<Faults> faults) {
  VMSEC_TRY(Store store, Store::open(settings.store));
  std::unique_ptr<SimHost> host(new SimHost(std::move(settings), std::move(faults), std::move(store)));
  VMSEC_CHECK(host->define_all());
  if (host->settings_.autostart == Autostart::no) return host;
  for (auto& [uuid, domain] : host->domains_) {
    if (domain.held || domain.off) continue;
    VMSEC_CHECK(host->power_on(domain, "the host starts"));
    VMSEC_CHECK(host->let_run(domain, "the host starts"));
  }
  return host;
}

Status SimHost::define_all() {
  VMSEC_TRY(auto records, store_.load());
  std::map<Uuid, StoredDomain> stored;
  for (auto& record : records) stored.emplace(record.domain, std::move(record));
  if (!settings_.domains.empty()) {
    VMSEC_TRY(const auto paths, files_in(settings_.domains));
    for (const auto& path : paths) VMSEC_CHECK(define(path, stored));
  }
  // What came here by a move, or is held, is known from its record alone.
  for (const auto& [uuid, record] : stored) {
    if (record.gone || domains_.contains(uuid)) continue;
    VMSEC_TRY(auto spec, parse_domain(record.configuration, "record of " + uuid.text()));
    const Power power = record.off ? Power::off : Power::as_host;
    VMSEC_CHECK(add(std::move(spec), record.limits, record.held, power, record.behind));
  }
  return {};
}

Status SimHost::define(const std::string& path, const std::map<Uuid, StoredDomain>& stored) {
  VMSEC_TRY(const auto text, read_file(path, kDomainFileMaximum));
  VMSEC_TRY(auto spec, parse_domain(text, path));
  for (auto& disk : spec.disks)
    if (auto measured = measure_disk(disk); !measured) return fail(measured.error().in(path));
  const auto record = stored.find(spec.uuid);
  if (record == stored.end()) {
    Limits limits = unlimited(spec);
    if (auto added = add(std::move(spec), limits, false); !added) return fail(added.error().in(path));
    return {};
  }
  if (record->second.gone || record->second.held) return {};
  Limits limits = record->second.limits;
  // Its file was edited since: that is the later word.
  VMSEC_TRY(const DomainSpec recorded, parse_domain(record->second.configuration, "record of " + spec.uuid.text()));
  if (recorded.vcpus != spec.vcpus) limits.resources.vcpus = spec.vcpus;
  const Power power = record->second.off ? Power::off : Power::as_host;
  if (auto added = add(std::move(spec), limits, false, power); !added) return fail(added.error().in(path));
  return {};
}

Status SimHost::add(DomainSpec spec, const Limits& limits, bool held, Power power, bool behind) {
  for (const auto& [uuid, other] : domains_) {
    if (uuid == spec.uuid || other.spec.name == spec.name)
      return fail(Code::already_exists, "define " + spec.name + " " + spec.uuid.text() + ": " + other.spec.name + " " +
                                            uuid.text() + " is here");
  }
  Domain domain{.spec = std::move(spec),
                .limits = {},
                .machine = nullptr,
                .held = held,
                .behind = behind,
                .off = power == Power::off};
  domain.limits = fit(limits, domain.spec);
  VMSEC_CHECK(check_room(domain.spec));
  VMSEC_CHECK(write_down(domain, held, false));
  tell(EventKind::domain_defined, domain);
  domains_.emplace(domain.spec.uuid, std::move(domain));
  return {};
}

Status SimHost::check_room(const DomainSpec& spec) const {
  std::uint64_t taken = 0;
  for (const auto& [uuid, domain] : domains_)
    if (domain.machine && uuid != spec.uuid) taken += domain.spec.memory.value;
  if (spec.memory.value <= settings_.memory.value - std::min(taken, settings_.memory.value)) return {};
  return fail(Code::limit_exceeded, "make room for " + spec.name + ": its " + std::to_string(spec.memory.value) +
                                        " bytes of memory and the " + std::to_string(taken) +
                                        " of others exceed the host's " + std::to_string(settings_.memory.value));
}

Result<std::string> SimHost::disk_path(const DiskSpec& disk) const {
  if (disk.source.starts_with('/')) return disk.source;
  if (settings_.disks.empty())
    return fail(Code::invalid_argument,
                "find disk " + disk.source + ": the host has neither a state folder nor setting disks");
  return settings_.disks + "/" + disk.source;
}

Result<std::vector<Fd>> SimHost::open_disks(const DomainSpec& spec, MakeFile make) const {
  std::vector<Fd> disks;
  for (const auto& disk : spec.disks) {
    VMSEC_TRY(const auto path, disk_path(disk));
    if (make == MakeFile::yes && !disk.source.starts_with('/') && ::mkdir(settings_.disks.c_str(), 0700) != 0 &&
        errno != EEXIST)
      return fail(errno_error("make folder " + settings_.disks));
    VMSEC_TRY(auto file, open_disk(disk, path, make));
    disks.push_back(std::move(file));
  }
  return disks;
}

Status SimHost::power_on(Domain& domain, const std::string& why) {
  VMSEC_CHECK(check_room(domain.spec));
  VMSEC_TRY(auto disks, open_disks(domain.spec, MakeFile::yes));
  VMSEC_TRY(auto machine, Machine::create(domain.spec, std::move(disks)));
  VMSEC_CHECK(machine->apply(domain.limits));
  machine->boot();
  domain.machine = std::move(machine);
  domain.paused = false;
  domain.stopped = false;
  tell(EventKind::domain_started, domain, why);
  return {};
}

}  // namespace vmsec::sim
