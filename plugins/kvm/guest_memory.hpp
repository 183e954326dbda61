// Where a guest's RAM lies: in its own address space, and in QEMU's memory file.
#pragma once

#include <string>
#include <vector>

#include "vmsec/capability/memory_access.hpp"

namespace vmsec::kvm {

// The rules of QEMU's pc and q35 machines (as `info mtree -f` shows them): RAM
// begins at 0, leaves a hole for devices below 4 GiB when it is large, and goes
// on at 4 GiB. From 640 KiB to 1 MiB a guest sees video memory and firmware,
// whatever the file holds there: that part is in no region.
// `unsupported` for a machine whose rules are not known here.
Result<std::vector<MemoryRegion>> ram_regions(const std::string& machine, std::uint64_t ram_bytes);

// The region that holds the whole range, or null.
const MemoryRegion* region_of(const std::vector<MemoryRegion>& regions, std::uint64_t address, std::uint64_t length);

// Whether the range is within the guest's physical memory, the hole of 640 KiB
// to 1 MiB included.
bool is_guest_memory(const std::vector<MemoryRegion>& regions, std::uint64_t address, std::uint64_t length);

}  // namespace vmsec::kvm
