// Finding domains: Xen numbers them, vmsec knows them by UUID.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "libxl.hpp"
#include "vmsec/capability/domain_control.hpp"

namespace vmsec::xen {

// What the hypervisor itself knows of a domain; no xenstore in it.
struct Seen {
  std::uint32_t domid = 0;
  Uuid uuid;
  DomainState state = DomainState::unknown;
  bool suspended = false;  // it was stopped for a migration or a save, and lets itself be resumed
  bool pv = false;
  std::uint32_t pool = 0;   // of CPUs
  std::uint32_t vcpus = 0;  // that run, or could
  std::uint32_t vcpus_maximum = 0;
  std::uint64_t memory_kib = 0;
  std::uint64_t maximum_kib = 0;
  std::uint64_t cpu_nanoseconds = 0;
};

DomainState state_of(const libxl_dominfo& info);

// All but dom0 and those that are being taken down; of one pool of CPUs where `pool` is not empty.
Result<std::vector<Seen>> list_domains(Libxl& libxl, const std::string& pool, const std::string& operation);
// `not_found` for a domain that is not there.
Result<Seen> find_domain(Libxl& libxl, const std::string& pool, const Uuid& uuid, const std::string& operation);
// `wrong_state` for one that has ended.
Status require_active(const Seen& domain, const std::string& operation);
// Empty where xenstore has none. A copy that comes from elsewhere has its own name, with kIncoming behind it at the
// toolstack until it is activated: the source may be on the same Xen, in another pool.
inline constexpr std::string_view kIncoming = "--incoming";
std::string name_of(Libxl& libxl, std::uint32_t domid);
bool is_incoming(Libxl& libxl, std::uint32_t domid);
// Somebody else may have paused it as well: it is unpaused until it runs.
Status unpause_domain(Libxl& libxl, std::uint32_t domid, const std::string& operation);
// As it was built, and as libxl has changed it since: it writes down what it attaches. libxl's own way to the whole
// configuration forks, and hangs where several threads ask at once.
Result<std::string> read_built_json(Libxl& libxl, std::uint32_t domid, const std::string& operation);
Status read_built_config(Libxl& libxl, std::uint32_t domid, DomainConfig& config, const std::string& operation);
struct FreeDisks {
  int count = 0;
  void operator()(libxl_device_disk* list) const { libxl_device_disk_list_free(list, count); }
};
struct FreeNics {
  int count = 0;
  void operator()(libxl_device_nic* list) const { libxl_device_nic_list_free(list, count); }
};

// The devices that it has now.
class Devices {
 public:
  static Devices of(Libxl& libxl, std::uint32_t domid);
  [[nodiscard]] std::span<libxl_device_disk> disks() const { return {disks_.get(), size(disks_.get_deleter().count)}; }
  [[nodiscard]] std::span<libxl_device_nic> nics() const { return {nics_.get(), size(nics_.get_deleter().count)}; }

 private:
  static std::size_t size(int count) { return static_cast<std::size_t>(count); }

  std::unique_ptr<libxl_device_disk, FreeDisks> disks_;
  std::unique_ptr<libxl_device_nic, FreeNics> nics_;
};

std::string mac_of(const libxl_device_nic& nic);
// The host's side of it.
std::string nic_name(std::uint32_t domid, const libxl_device_nic& nic);

}  // namespace vmsec::xen
