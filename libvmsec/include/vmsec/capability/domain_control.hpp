// Domains: which there are, their state, pause and resume.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "vmsec/interface.hpp"

namespace vmsec {

enum class DomainState : std::uint32_t {
  unknown = 0,
  running = 1,
  paused = 2,    // vCPUs stopped, memory kept
  shut_off = 3,  // defined, no memory
  crashed = 4,
};

struct Disk {
  std::string target;  // the name in the guest's bus: "vda"
  std::string source;  // file or block device on the host
  Bytes capacity;
  static constexpr std::string_view kMessage = "vmsec.Disk";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "target", &Disk::target), wire::field(2, "source", &Disk::source),
                        wire::field(3, "capacity", &Disk::capacity));
  }
};

struct Nic {
  std::string target;  // the host's side of it: "tap0"
  std::string mac;
  static constexpr std::string_view kMessage = "vmsec.Nic";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "target", &Nic::target), wire::field(2, "mac", &Nic::mac));
  }
};

struct DomainInfo {
  Uuid domain;
  std::string name;
  DomainState state = DomainState::unknown;
  std::uint32_t vcpus = 0;  // that it has now
  Bytes memory;             // what the guest has now
  Bytes memory_maximum;
  // Of all vCPUs since the domain started; some hypervisors forget the time of one that was taken away.
  Microseconds cpu_time;
  std::vector<Disk> disks;
  std::vector<Nic> nics;
  bool persistent = false;
  bool tpm = false;  // has a virtual TPM
  std::vector<std::string> tags;
  std::uint32_t vcpus_maximum = 0;  // how many it may be given while it runs
  // Of all vCPUs since the domain started on this host: ready to run, and kept from it by others or by a limit of its
  // own. Absent where the hypervisor does not tell, or not now.
  std::optional<Microseconds> cpu_steal;
  static constexpr std::string_view kMessage = "vmsec.DomainInfo";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "domain", &DomainInfo::domain), wire::field(2, "name", &DomainInfo::name),
        wire::field(3, "state", &DomainInfo::state), wire::field(4, "vcpus", &DomainInfo::vcpus),
        wire::field(5, "memory", &DomainInfo::memory), wire::field(6, "memory_maximum", &DomainInfo::memory_maximum),
        wire::field(7, "cpu_time", &DomainInfo::cpu_time), wire::field(8, "disks", &DomainInfo::disks),
        wire::field(9, "nics", &DomainInfo::nics), wire::field(10, "persistent", &DomainInfo::persistent),
        wire::field(11, "tpm", &DomainInfo::tpm), wire::field(12, "tags", &DomainInfo::tags),
        wire::field(13, "vcpus_maximum", &DomainInfo::vcpus_maximum),
        wire::field(14, "cpu_steal", &DomainInfo::cpu_steal));
  }
};

struct DomainList {
  std::vector<DomainInfo> domains;
  static constexpr std::string_view kMessage = "vmsec.DomainList";
  static constexpr auto fields() { return wire::fields(wire::field(1, "domains", &DomainList::domains)); }
};

// Names one domain: the argument of many calls.
struct DomainRef {
  Uuid domain;
  static constexpr std::string_view kMessage = "vmsec.DomainRef";
  static constexpr auto fields() { return wire::fields(wire::field(1, "domain", &DomainRef::domain)); }
};

// Any thread may call at any time. Each call answers `unavailable` when the
// hypervisor's daemon is gone, and `not_found` for a domain that it has not.
class DomainControl {
 public:
  virtual ~DomainControl() = default;
  // All domains, running or not, ordered by name.
  virtual Result<DomainList> list(const Empty&) = 0;
  virtual Result<DomainInfo> get(const DomainRef&) = 0;
  // Stops the vCPUs. Pausing a paused domain changes nothing and succeeds;
  // `wrong_state` when it is shut off, and while a migration holds it.
  virtual Result<Empty> pause(const DomainRef&) = 0;
  // Lets the vCPUs go on. Resuming a running domain succeeds; `wrong_state` when
  // it is shut off, or belongs to a migration that is not decided.
  virtual Result<Empty> resume(const DomainRef&) = 0;
};

template <>
struct Methods<DomainControl> {
  static constexpr std::string_view kName = "vmsec.DomainControl";
  static constexpr auto table() {
    return std::make_tuple(method(1, "List", &DomainControl::list), method(2, "Get", &DomainControl::get),
                           method(3, "Pause", &DomainControl::pause), method(4, "Resume", &DomainControl::resume));
  }
};

template <>
class Proxy<DomainControl> final : public Remote<DomainControl> {
 public:
  using Remote::Remote;
  Result<DomainList> list(const Empty& r) override { return invoke<1>(r); }
  Result<DomainInfo> get(const DomainRef& r) override { return invoke<2>(r); }
  Result<Empty> pause(const DomainRef& r) override { return invoke<3>(r); }
  Result<Empty> resume(const DomainRef& r) override { return invoke<4>(r); }
};

}  // namespace vmsec
