// Disk limits under Xen: libxl has none, so dom0's backend is bounded. The threads of blkback that
// serve one disk are put into a cgroup of their own, whose io.max bounds what they do on the host's
// device.
#pragma once

#include <mutex>
#include <set>
#include <string>

#include "vmsec/capability/io_control.hpp"

namespace vmsec::xen {

// One disk of one domain, as blkback has it.
struct BackendDisk {
  std::uint32_t domid = 0;
  std::string target;  // "xvda"
  std::string device;  // the host's block device, "7:0"
};

// Thread-safe. What is set stays in the kernel when this process ends.
class DiskCgroups {
 public:
  // `root`: where cgroup v2 is mounted; `proc`: where threads are found.
  explicit DiskCgroups(std::string root = "/sys/fs/cgroup", std::string proc = "/proc");

  [[nodiscard]] Result<DiskLimit> read(const BackendDisk& disk) const;
  // Replaces the whole limit, and reads it back. `unsupported` for a burst, and where this kernel
  // cannot bound block devices or no thread of blkback serves the disk.
  Status write(const BackendDisk& disk, const DiskLimit& limit);
  // A guest that connects its disk anew gets new threads: puts those of bounded disks where they
  // belong. Also removes cgroups of disks that no thread serves any more.
  void keep();

 private:
  [[nodiscard]] std::string folder_of(std::uint32_t domid, const std::string& target) const;
  Status prepare(const std::string& folder) const;
  // How many threads serve it now. Those that are elsewhere are moved.
  [[nodiscard]] Result<std::size_t> gather(std::uint32_t domid, const std::string& target) const;

  std::string root_;
  std::string proc_;
  std::mutex mutex_;
};

}  // namespace vmsec::xen
