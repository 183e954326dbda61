#include "backend_disk.hpp"

#include <cstdio>
#include <fstream>

namespace vmsec::xen {
namespace {

constexpr std::uint64_t kSector = 512;  // of the statistics, whatever the disk's is

using DiskInfo = Owned<libxl_diskinfo, libxl_diskinfo_init, libxl_diskinfo_dispose>;

Result<std::string> sysfs_folder(Libxl& libxl, std::uint32_t domid, libxl_device_disk& disk,
                                 const std::string& operation) {
  if (disk.backend != LIBXL_DISK_BACKEND_PHY)
    return fail(Code::unsupported, operation + ": a " + std::string(libxl_disk_backend_to_string(disk.backend)) +
                                       " of dom0 serves it, not the kernel's blkback");
  DiskInfo info;
  if (const int code = libxl_device_disk_getinfo(libxl.get(), domid, &disk, info.get()); code != 0)
    return fail(libxl.error(operation, code, domid));
  return "/sys/bus/xen-backend/devices/vbd-" + std::to_string(domid) + "-" + std::to_string(info->devid);
}

Result<std::uint64_t> read_number(const std::string& path, const std::string& operation) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  if (file >> value) return value;
  return fail(Code::unavailable, operation + ": " + path + " tells no number");
}

}  // namespace

Result<BackendDisk> backend_disk(Libxl& libxl, std::uint32_t domid, libxl_device_disk& disk,
                                 const std::string& operation) {
  VMSEC_TRY(const std::string folder, sysfs_folder(libxl, domid, disk, operation));
  std::ifstream file(folder + "/physical_device");
  std::string text;
  unsigned major = 0;
  unsigned minor = 0;
  if (!(file >> text) || std::sscanf(text.c_str(), "%x:%x", &major, &minor) != 2)
    return fail(Code::unavailable, operation + ": blkback has not connected it yet");
  return BackendDisk{domid, disk.vdev, std::to_string(major) + ":" + std::to_string(minor)};
}

Result<IoCounters> disk_counters(Libxl& libxl, std::uint32_t domid, libxl_device_disk& disk,
                                 const std::string& operation) {
  VMSEC_TRY(const std::string folder, sysfs_folder(libxl, domid, disk, operation));
  const auto number = [&](const char* name) { return read_number(folder + "/statistics/" + name, operation); };
  IoCounters out;
  out.target = disk.vdev;
  VMSEC_TRY(const std::uint64_t read, number("rd_sect"));
  VMSEC_TRY(const std::uint64_t written, number("wr_sect"));
  VMSEC_TRY(out.read_ops, number("rd_req"));
  VMSEC_TRY(out.write_ops, number("wr_req"));
  out.read.value = read * kSector;
  out.written.value = written * kSector;
  return out;
}

Result<IoCounters> nic_counters(const std::string& name, const std::string& operation) {
  const auto number = [&](const char* counter) {
    return read_number("/sys/class/net/" + name + "/statistics/" + counter, operation);
  };
  IoCounters out;
  out.target = name;
  // What the host sends through it, the guest receives.
  VMSEC_TRY(out.read.value, number("tx_bytes"));
  VMSEC_TRY(out.written.value, number("rx_bytes"));
  VMSEC_TRY(out.read_ops, number("tx_packets"));
  VMSEC_TRY(out.write_ops, number("rx_packets"));
  return out;
}

}  // namespace vmsec::xen
