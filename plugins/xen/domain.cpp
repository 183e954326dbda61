#include "domain.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace vmsec::xen {
namespace {

struct ListFree {
  int count = 0;
  void operator()(libxl_dominfo* list) const { libxl_dominfo_list_free(list, count); }
};

Result<std::uint32_t> pool_id(Libxl& libxl, const std::string& pool, const std::string& operation) {
  std::uint32_t id = 0;
  if (libxl_name_to_cpupoolid(libxl.get(), pool.c_str(), &id) == 0) return id;
  // Never `not_found`: that would say of each domain that it is gone.
  return fail(Code::unavailable, operation + ": Xen has no pool of CPUs named " + pool + ", or xenstore does not tell");
}

Seen seen_of(const libxl_dominfo& info) {
  Seen out;
  out.domid = info.domid;
  out.uuid = uuid_of(info.uuid);
  out.state = state_of(info);
  out.suspended = info.shutdown && info.shutdown_reason == LIBXL_SHUTDOWN_REASON_SUSPEND;
  out.pv = info.domain_type == LIBXL_DOMAIN_TYPE_PV;
  out.pool = info.cpupool;
  out.vcpus = info.vcpu_online;
  out.vcpus_maximum = info.vcpu_max_id + 1;
  out.memory_kib = info.current_memkb;
  out.maximum_kib = info.max_memkb;
  out.cpu_nanoseconds = info.cpu_time;
  return out;
}

}  // namespace

DomainState state_of(const libxl_dominfo& info) {
  if (info.dying) return DomainState::shut_off;
  if (!info.shutdown) return info.paused ? DomainState::paused : DomainState::running;
  switch (info.shutdown_reason) {
    case LIBXL_SHUTDOWN_REASON_SUSPEND:
      return DomainState::paused;
    case LIBXL_SHUTDOWN_REASON_CRASH:
    case LIBXL_SHUTDOWN_REASON_WATCHDOG:
      return DomainState::crashed;
    default:
      return DomainState::shut_off;
  }
}

Result<std::vector<Seen>> list_domains(Libxl& libxl, const std::string& pool, const std::string& operation) {
  std::uint32_t wanted = 0;
  if (!pool.empty()) {
    VMSEC_TRY(wanted, pool_id(libxl, pool, operation));
  }
  int count = 0;
  libxl_dominfo* raw = libxl_list_domain(libxl.get(), &count);
  if (raw == nullptr) return fail(libxl.error(operation, ERROR_FAIL));
  const std::unique_ptr<libxl_dominfo, ListFree> list(raw, ListFree{count});
  std::vector<Seen> out;
  for (int i = 0; i < count; ++i) {
    const libxl_dominfo& info = raw[i];
    if (info.domid == 0 || info.dying || (!pool.empty() && info.cpupool != wanted)) continue;
    out.push_back(seen_of(info));
  }
  return out;
}

Result<Seen> find_domain(Libxl& libxl, const std::string& pool, const Uuid& uuid, const std::string& operation) {
  VMSEC_TRY(const auto domains, list_domains(libxl, pool, operation));
  const auto found = std::ranges::find(domains, uuid, &Seen::uuid);
  if (found == domains.end()) return fail(Code::not_found, operation + ": Xen has no such domain");
  // Xen itself takes two of one UUID; acting on either would be a guess.
  if (std::ranges::count(domains, uuid, &Seen::uuid) > 1)
    return fail(Code::wrong_state, operation + ": Xen has more than one domain of this UUID");
  return *found;
}

Status require_active(const Seen& domain, const std::string& operation) {
  if (domain.state == DomainState::running || domain.state == DomainState::paused) return {};
  return fail(Code::wrong_state, operation + ": the domain has ended");
}

std::string name_of(Libxl& libxl, std::uint32_t domid) {
  const Text name(libxl_domid_to_name(libxl.get(), domid));
  std::string out = name ? std::string(name.get()) : std::string();
  if (out.ends_with(kIncoming)) out.erase(out.size() - kIncoming.size());
  return out;
}

bool is_incoming(Libxl& libxl, std::uint32_t domid) {
  const Text name(libxl_domid_to_name(libxl.get(), domid));
  return name && std::string_view(name.get()).ends_with(kIncoming);
}

Status unpause_domain(Libxl& libxl, std::uint32_t domid, const std::string& operation) {
  constexpr int kMostPauses = 255;  // Xen counts to here
  for (int i = 0; i < kMostPauses; ++i) {
    DomInfo info;
    if (const int code = libxl_domain_info(libxl.get(), info.get(), domid); code != 0)
      return fail(libxl.error(operation, code, domid));
    if (!info->paused) return {};
    if (const int code = libxl_domain_unpause(libxl.get(), domid, nullptr); code != 0)
      return fail(libxl.error(operation, code, domid));
  }
  return fail(Code::internal, operation + ": it stays paused");
}

Result<std::string> read_built_json(Libxl& libxl, std::uint32_t domid, const std::string& operation) {
  const std::string what = operation + ": read its configuration";
  std::uint8_t* raw = nullptr;
  int length = 0;
  const int read = libxl_userdata_retrieve(libxl.get(), domid, "libxl-json", &raw, &length);
  const std::unique_ptr<std::uint8_t, Free> data(raw);
  if (read != 0) return fail(libxl.error(what, read, domid));
  if (length == 0) return fail(Code::not_found, what + ": libxl keeps none (it is gone, or another tool built it)");
  std::string json(reinterpret_cast<const char*>(raw), static_cast<std::size_t>(length));
  json.resize(std::min(json.find('\0'), json.size()));  // libxl writes one behind it
  return json;
}

Status read_built_config(Libxl& libxl, std::uint32_t domid, DomainConfig& config, const std::string& operation) {
  VMSEC_TRY(const std::string json, read_built_json(libxl, domid, operation));
  const int parsed = libxl_domain_config_from_json(libxl.get(), config.get(), json.c_str());
  if (parsed != 0) return fail(libxl.error(operation + ": read its configuration", parsed, domid));
  return {};
}

Devices Devices::of(Libxl& libxl, std::uint32_t domid) {
  Devices out;
  int count = 0;
  if (libxl_device_disk* disks = libxl_device_disk_list(libxl.get(), domid, &count)) {
    out.disks_ = {disks, FreeDisks{count}};
  }
  count = 0;
  if (libxl_device_nic* nics = libxl_device_nic_list(libxl.get(), domid, &count)) {
    out.nics_ = {nics, FreeNics{count}};
  }
  return out;
}

std::string mac_of(const libxl_device_nic& nic) {
  char mac[18];
  std::snprintf(mac, sizeof mac, "%02x:%02x:%02x:%02x:%02x:%02x", nic.mac[0], nic.mac[1], nic.mac[2], nic.mac[3],
                nic.mac[4], nic.mac[5]);
  return mac;
}

std::string nic_name(std::uint32_t domid, const libxl_device_nic& nic) {
  if (nic.ifname != nullptr && *nic.ifname != 0) return nic.ifname;
  return "vif" + std::to_string(domid) + "." + std::to_string(nic.devid);
}

}  // namespace vmsec::xen
