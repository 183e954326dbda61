// Reading a guest's memory from below the guest.
#pragma once

#include <vector>

#include "vmsec/capability/domain_control.hpp"

namespace vmsec {

// A run of guest-physical memory that is readable through a mapping.
struct MemoryRegion {
  std::uint64_t guest_address = 0;
  Bytes length;
  std::uint64_t file_offset = 0;  // where it starts in the descriptor
  static constexpr std::string_view kMessage = "vmsec.MemoryRegion";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "guest_address", &MemoryRegion::guest_address),
                        wire::field(2, "length", &MemoryRegion::length),
                        wire::field(3, "file_offset", &MemoryRegion::file_offset));
  }
};

struct MemoryMap {
  Fd file;  // opened for reading; mmap it with MAP_SHARED
  std::vector<MemoryRegion> regions;
  static constexpr std::string_view kMessage = "vmsec.MemoryMap";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "file", &MemoryMap::file), wire::field(2, "regions", &MemoryMap::regions));
  }
};

struct ReadMemory {
  Uuid domain;
  std::uint64_t guest_address = 0;
  Bytes length;  // at most 1 MiB a call
  static constexpr std::string_view kMessage = "vmsec.ReadMemory";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "domain", &ReadMemory::domain),
                        wire::field(2, "guest_address", &ReadMemory::guest_address),
                        wire::field(3, "length", &ReadMemory::length));
  }
};

struct MemoryBytes {
  std::string bytes;
  static constexpr std::string_view kMessage = "vmsec.MemoryBytes";
  static constexpr auto fields() { return wire::fields(wire::field(1, "bytes", &MemoryBytes::bytes)); }
};

// Any thread may call at any time. A running guest writes while it is read:
// only a paused domain gives one consistent picture.
class MemoryAccess {
 public:
  virtual ~MemoryAccess() = default;
  // `unsupported` where the domain's memory is not in a file that can be mapped.
  virtual Result<MemoryMap> map(const DomainRef&) = 0;
  // `invalid_argument` beyond 1 MiB or outside of the guest's memory.
  virtual Result<MemoryBytes> read(const ReadMemory&) = 0;
};

template <>
struct Methods<MemoryAccess> {
  static constexpr std::string_view kName = "vmsec.MemoryAccess";
  static constexpr auto table() {
    return std::make_tuple(method(1, "Map", &MemoryAccess::map), method(2, "Read", &MemoryAccess::read));
  }
};

template <>
class Proxy<MemoryAccess> final : public Remote<MemoryAccess> {
 public:
  using Remote::Remote;
  Result<MemoryMap> map(const DomainRef& r) override { return invoke<1>(r); }
  Result<MemoryBytes> read(const ReadMemory& r) override { return invoke<2>(r); }
};

}  // namespace vmsec
