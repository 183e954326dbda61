// Disk and NIC limits of a domain, and its I/O counters.
#pragma once

#include <string>
#include <vector>

#include "vmsec/capability/domain_control.hpp"

namespace vmsec {

// 0 is unlimited in each field. A burst lets the rate be exceeded up to `burst`
// for `burst_seconds` together.
struct DiskLimit {
  std::string target;
  BytesPerSecond read;
  BytesPerSecond write;
  OpsPerSecond read_ops;
  OpsPerSecond write_ops;
  BytesPerSecond read_burst;
  BytesPerSecond write_burst;
  std::uint32_t burst_seconds = 0;
  static constexpr std::string_view kMessage = "vmsec.DiskLimit";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "target", &DiskLimit::target), wire::field(2, "read", &DiskLimit::read),
                        wire::field(3, "write", &DiskLimit::write), wire::field(4, "read_ops", &DiskLimit::read_ops),
                        wire::field(5, "write_ops", &DiskLimit::write_ops),
                        wire::field(6, "read_burst", &DiskLimit::read_burst),
                        wire::field(7, "write_burst", &DiskLimit::write_burst),
                        wire::field(8, "burst_seconds", &DiskLimit::burst_seconds));
  }
  friend bool operator==(const DiskLimit&, const DiskLimit&) = default;
};

// Directions as the guest sees them.
struct NicLimit {
  std::string target;
  BytesPerSecond receive;
  BytesPerSecond transmit;
  static constexpr std::string_view kMessage = "vmsec.NicLimit";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "target", &NicLimit::target), wire::field(2, "receive", &NicLimit::receive),
                        wire::field(3, "transmit", &NicLimit::transmit));
  }
  friend bool operator==(const NicLimit&, const NicLimit&) = default;
};

struct IoLimits {
  std::vector<DiskLimit> disks;
  std::vector<NicLimit> nics;
  static constexpr std::string_view kMessage = "vmsec.IoLimits";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "disks", &IoLimits::disks), wire::field(2, "nics", &IoLimits::nics));
  }
};

struct SetDiskLimit {
  Uuid domain;
  DiskLimit limit;
  static constexpr std::string_view kMessage = "vmsec.SetDiskLimit";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "domain", &SetDiskLimit::domain), wire::field(2, "limit", &SetDiskLimit::limit));
  }
};

struct SetNicLimit {
  Uuid domain;
  NicLimit limit;
  static constexpr std::string_view kMessage = "vmsec.SetNicLimit";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "domain", &SetNicLimit::domain), wire::field(2, "limit", &SetNicLimit::limit));
  }
};

// Counters since the domain started.
struct IoCounters {
  std::string target;
  Bytes read;     // NIC: received
  Bytes written;  // NIC: transmitted
  std::uint64_t read_ops = 0;
  std::uint64_t write_ops = 0;
  static constexpr std::string_view kMessage = "vmsec.IoCounters";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "target", &IoCounters::target), wire::field(2, "read", &IoCounters::read),
                        wire::field(3, "written", &IoCounters::written),
                        wire::field(4, "read_ops", &IoCounters::read_ops),
                        wire::field(5, "write_ops", &IoCounters::write_ops));
  }
};

struct IoStatistics {
  std::vector<IoCounters> disks;
  std::vector<IoCounters> nics;
  static constexpr std::string_view kMessage = "vmsec.IoStatistics";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "disks", &IoStatistics::disks), wire::field(2, "nics", &IoStatistics::nics));
  }
};

// Any thread may call at any time. A limit replaces the device's whole limit.
// Errors beside DomainControl's: `not_found` for a device that the domain has
// not, `unsupported` where hypervisor or kernel cannot bound this device (the
// message says what is missing), `wrong_state` when the domain is shut off.
class IoControl {
 public:
  virtual ~IoControl() = default;
  virtual Result<IoLimits> get(const DomainRef&) = 0;
  virtual Result<Empty> set_disk(const SetDiskLimit&) = 0;
  virtual Result<Empty> set_nic(const SetNicLimit&) = 0;
  virtual Result<IoStatistics> statistics(const DomainRef&) = 0;
};

template <>
struct Methods<IoControl> {
  static constexpr std::string_view kName = "vmsec.IoControl";
  static constexpr auto table() {
    return std::make_tuple(method(1, "Get", &IoControl::get), method(2, "SetDisk", &IoControl::set_disk),
                           method(3, "SetNic", &IoControl::set_nic), method(4, "Statistics", &IoControl::statistics));
  }
};

template <>
class Proxy<IoControl> final : public Remote<IoControl> {
 public:
  using Remote::Remote;
  Result<IoLimits> get(const DomainRef& r) override { return invoke<1>(r); }
  Result<Empty> set_disk(const SetDiskLimit& r) override { return invoke<2>(r); }
  Result<Empty> set_nic(const SetNicLimit& r) override { return invoke<3>(r); }
  Result<IoStatistics> statistics(const DomainRef& r) override { return invoke<4>(r); }
};

}  // namespace vmsec
