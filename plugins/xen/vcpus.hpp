// A domain's vCPUs: which of those that it may have it has now.
#pragma once

#include <memory>
#include <span>

#include "domain.hpp"

namespace vmsec::xen {

struct FreeVcpus {
  int count = 0;
  void operator()(libxl_vcpuinfo* list) const { libxl_vcpuinfo_list_free(list, count); }
};

// All that it may have; those with `online` are those that Xen runs.
class Vcpus {
 public:
  static Result<Vcpus> of(Libxl& libxl, std::uint32_t domid, const std::string& operation);
  [[nodiscard]] std::span<const libxl_vcpuinfo> all() const {
    return {list_.get(), static_cast<std::size_t>(list_.get_deleter().count)};
  }
  [[nodiscard]] std::uint32_t online() const;

 private:
  std::unique_ptr<libxl_vcpuinfo, FreeVcpus> list_;
};

// Asks the guest, through xenstore, to run its first `count` vCPUs, and waits until Xen sees it. `timeout` where the
// guest does not do so in time: it is then asked for what was before.
Status change_vcpus(Libxl& libxl, const Seen& seen, std::uint32_t count, const std::string& operation);

}  // namespace vmsec::xen
