// A guest's memory under a Scan: through a mapping where the hypervisor has one, else by reads.
#pragma once

#include <sys/mman.h>

#include <vmsec/capability/memory_access.hpp>

#include "scan.hpp"

namespace memory_scanner {

// The next run of the file in [from, end) that has memory of its own. Holes are zeros,
// which hold no pattern, and looking at one through a mapping would fill it.
inline std::pair<std::uint64_t, std::uint64_t> next_data(const vmsec::Fd& file, std::uint64_t from, std::uint64_t end) {
  const off_t data = ::lseek(file.get(), static_cast<off_t>(from), SEEK_DATA);
  if (data < 0) return errno == ENXIO ? std::pair(end, end) : std::pair(from, end);  // none left, or it cannot tell
  const off_t hole = ::lseek(file.get(), data, SEEK_HOLE);
  const auto start = std::min(static_cast<std::uint64_t>(data), end);
  return {start, hole < 0 ? end : std::min(static_cast<std::uint64_t>(hole), end)};
}

class Mapping {
 public:
  Mapping(const vmsec::Fd& file, std::uint64_t offset, std::size_t size)
      : bytes_(::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), static_cast<off_t>(offset))), size_(size) {}
  ~Mapping() {
    if (valid()) ::munmap(bytes_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  [[nodiscard]] bool valid() const { return bytes_ != MAP_FAILED; }
  [[nodiscard]] std::string_view bytes() const { return {static_cast<const char*>(bytes_), size_}; }

 private:
  void* bytes_;
  std::size_t size_;
};

inline vmsec::Status scan_region(Scan& scan, const vmsec::Fd& file, const vmsec::MemoryRegion& region) {
  if (region.length.value == 0) return {};
  const Mapping mapping(file, region.file_offset, region.length.value);
  if (!mapping.valid()) return vmsec::fail(vmsec::errno_error("map guest memory"));
  const std::uint64_t end = region.file_offset + region.length.value;
  for (std::uint64_t at = region.file_offset; at < end && !scan.full();) {
    const auto [data, hole] = next_data(file, at, end);
    at = hole;
    // All at once: a fault for every few pages takes longer than looking at them.
    ::madvise(const_cast<char*>(mapping.bytes().data()) + (data - region.file_offset), hole - data, MADV_POPULATE_READ);
    scan.look_at(region.guest_address + data - region.file_offset,
                 mapping.bytes().substr(data - region.file_offset, hole - data));
  }
  return {};
}

inline vmsec::Status scan_mapped(Scan& scan, const vmsec::MemoryMap& map) {
  const off_t size = ::lseek(map.file.get(), 0, SEEK_END);
  for (const vmsec::MemoryRegion& region : map.regions) {
    // Behind the file's end there is nothing to look at, and who looks dies (SIGBUS).
    if (size >= 0 && region.file_offset + region.length.value > static_cast<std::uint64_t>(size))
      return vmsec::fail(vmsec::Code::io, "map guest memory: the file is shorter than what it shall hold");
    VMSEC_CHECK(scan_region(scan, map.file, region));
  }
  return {};
}

// By reads of 1 MiB and, where one is refused, of its halves, down to a page: a guest's
// addresses have gaps that nothing answers. The end of each piece is looked at again
// with the next, for what lies across.
class Reads {
 public:
  Reads(Scan& scan, vmsec::MemoryAccess& memory, const vmsec::Uuid& domain)
      : scan_(scan), memory_(memory), domain_(domain) {}

  vmsec::Status all(std::uint64_t size) {
    constexpr std::uint64_t kGaps = std::uint64_t{1} << 32;  // between parts of the memory, together
    for (std::uint64_t at = 0; at < size + kGaps && scan_.bytes() < size && !scan_.full(); at += kMost)
      VMSEC_CHECK(read(at, kMost));
    if (scan_.bytes() == 0) return vmsec::fail(vmsec::Code::io, "read guest memory: no part of it can be read");
    return {};
  }

 private:
  static constexpr std::uint64_t kMost = 1 << 20;
  static constexpr std::uint64_t kPage = 4096;

  vmsec::Status read(std::uint64_t address, std::uint64_t length) {
    auto read_bytes = memory_.read({domain_, address, {length}});
    if (read_bytes) {
      const std::size_t before = kept_.size();
      kept_ += read_bytes->bytes;
      scan_.look_at(address - before, kept_, before);
      kept_.erase(0, kept_.size() - std::min(kept_.size(), scan_.longest() - 1));
      return {};
    }
    if (read_bytes.error().code != vmsec::Code::invalid_argument && read_bytes.error().code != vmsec::Code::io)
      return vmsec::fail(read_bytes.error());
    kept_.clear();
    if (length <= kPage || address >= kLow) return {};
    VMSEC_CHECK(read(address, length / 2));
    return read(address + length / 2, length / 2);
  }

  static constexpr std::uint64_t kLow = 1 << 20;  // beyond, gaps are whole megabytes

  Scan& scan_;
  vmsec::MemoryAccess& memory_;
  vmsec::Uuid domain_;
  std::string kept_;
};

}  // namespace memory_scanner
