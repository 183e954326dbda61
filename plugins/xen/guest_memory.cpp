#include "guest_memory.hpp"

extern "C" {
#include <xenforeignmemory.h>
}

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "pv_frames.hpp"
#include "vmsec/fd.hpp"

namespace vmsec::xen {
namespace {

constexpr std::uint64_t kPage = 4096;

struct Close {
  void operator()(xenforeignmemory_handle* handle) const { xenforeignmemory_close(handle); }
};

class Mapping {
 public:
  Mapping(xenforeignmemory_handle* handle, void* address, std::size_t pages)
      : handle_(handle), address_(address), pages_(pages) {}
  ~Mapping() { xenforeignmemory_unmap(handle_, address_, pages_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

 private:
  xenforeignmemory_handle* handle_;
  void* address_;
  std::size_t pages_;
};

}  // namespace

Result<std::string> read_memory(std::uint32_t domid, Frames whose, std::uint64_t address, std::uint64_t length) {
  if (length == 0) return std::string();
  const std::unique_ptr<xenforeignmemory_handle, Close> handle(xenforeignmemory_open(nullptr, 0));
  if (!handle) return fail(errno_error("open Xen's foreign memory", errno, Code::unsupported));
  const std::uint64_t first = address / kPage;
  const std::uint64_t pages = (address + length - 1) / kPage - first + 1;
  std::vector<xen_pfn_t> frames(pages);
  std::vector<int> errors(pages);
  for (std::uint64_t i = 0; i < pages; ++i) frames[i] = first + i;
  if (whose == Frames::guests_own) {
    VMSEC_TRY(const auto machine, machine_frames(domid, first, pages));
    std::ranges::copy(machine, frames.begin());
  }
  void* mapped = xenforeignmemory_map(handle.get(), domid, PROT_READ, pages, frames.data(), errors.data());
  if (mapped == nullptr) return fail(errno_error("map the guest's pages"));
  const Mapping mapping(handle.get(), mapped, pages);
  for (std::uint64_t i = 0; i < pages; ++i)
    if (errors[i] != 0)
      return fail(Code::invalid_argument, "the guest has no memory at " + std::to_string((first + i) * kPage));
  return std::string(static_cast<const char*>(mapped) + address % kPage, length);
}

}  // namespace vmsec::xen
