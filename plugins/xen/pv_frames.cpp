#include "pv_frames.hpp"

extern "C" {
#include <xenctrl.h>
#include <xenguest.h>
}

#include <cerrno>
#include <memory>

#include "vmsec/fd.hpp"

namespace vmsec::xen {
namespace {

constexpr std::uint64_t kPage = 4096;

struct Close {
  void operator()(xc_interface* interface) const { xc_interface_close(interface); }
};

// The guest's table, mapped.
class Table {
 public:
  Table(xc_interface* interface, std::uint32_t domid)
      : interface_(interface), mapped_(xc_map_domain_meminfo(interface, domid, &info_) == 0) {}
  ~Table() {
    if (mapped_) xc_unmap_domain_meminfo(interface_, &info_);
  }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  [[nodiscard]] bool mapped() const { return mapped_; }
  [[nodiscard]] bool has(std::uint64_t frame) const {
    return frame < info_.p2m_size && info_.p2m_table[frame] != INVALID_MFN &&
           (info_.pfn_type[frame] & kNoPage) != kNoPage;
  }
  [[nodiscard]] std::uint64_t machine(std::uint64_t frame) const { return info_.p2m_table[frame]; }

 private:
  static constexpr xen_pfn_t kNoPage = XEN_DOMCTL_PFINFO_XTAB;
  xc_interface* interface_;
  xc_domain_meminfo info_{};
  bool mapped_;
};

}  // namespace

Result<std::vector<std::uint64_t>> machine_frames(std::uint32_t domid, std::uint64_t first, std::uint64_t count) {
  const std::unique_ptr<xc_interface, Close> interface(xc_interface_open(nullptr, nullptr, 0));
  if (!interface) return fail(errno_error("open Xen's control interface", errno, Code::unsupported));
  const Table table(interface.get(), domid);
  if (!table.mapped()) return fail(errno_error("map the PV guest's table of frames"));
  std::vector<std::uint64_t> out;
  for (std::uint64_t frame = first; frame < first + count; ++frame) {
    if (!table.has(frame))
      return fail(Code::invalid_argument, "the guest has no memory at " + std::to_string(frame * kPage));
    out.push_back(table.machine(frame));
  }
  return out;
}

}  // namespace vmsec::xen
