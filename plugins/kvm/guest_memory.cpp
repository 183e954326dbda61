#include "guest_memory.hpp"

#include <algorithm>

namespace vmsec::kvm {
namespace {

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
constexpr std::uint64_t kLowHole = 640 * kKiB;
constexpr std::uint64_t kLowHoleEnd = 1024 * kKiB;
constexpr std::uint64_t kAbove = 4 * kGiB;

// How much of the RAM lies below 4 GiB, for machines since 2.0: what fits stays
// in one piece, larger RAM is cut at a whole gigabyte.
std::uint64_t below_4g(std::uint64_t ram, std::uint64_t fits, std::uint64_t cut) { return ram < fits ? ram : cut; }

}  // namespace

Result<std::vector<MemoryRegion>> ram_regions(const std::string& machine, std::uint64_t ram_bytes) {
  std::uint64_t below = 0;
  if (machine == "pc" || machine.starts_with("pc-i440fx-")) {
    below = below_4g(ram_bytes, 0xe000'0000, 3 * kGiB);
  } else if (machine == "q35" || machine.starts_with("pc-q35-")) {
    below = below_4g(ram_bytes, 0xb000'0000, 2 * kGiB);
  } else {
    return fail(Code::unsupported, "the memory layout of machine \"" + machine + "\" is not known");
  }
  if (machine.starts_with("pc-i440fx-1.") || machine.starts_with("pc-q35-1."))
    return fail(Code::unsupported, "the memory layout of machine \"" + machine + "\" is not known");
  std::vector<MemoryRegion> regions{{0, {std::min(below, kLowHole)}, 0}};
  if (below > kLowHoleEnd) regions.push_back({kLowHoleEnd, {below - kLowHoleEnd}, kLowHoleEnd});
  if (ram_bytes > below) regions.push_back({kAbove, {ram_bytes - below}, below});
  return regions;
}

const MemoryRegion* region_of(const std::vector<MemoryRegion>& regions, std::uint64_t address, std::uint64_t length) {
  const auto found = std::ranges::find_if(regions, [&](const MemoryRegion& each) {
    if (address < each.guest_address) return false;
    const std::uint64_t offset = address - each.guest_address;
    return offset <= each.length.value && length <= each.length.value - offset;
  });
  return found == regions.end() ? nullptr : &*found;
}

bool is_guest_memory(const std::vector<MemoryRegion>& regions, std::uint64_t address, std::uint64_t length) {
  if (region_of(regions, address, length) != nullptr) return true;
  // Only the first two regions are joined by the low hole.
  if (regions.size() < 2 || regions[1].guest_address != kLowHoleEnd) return false;
  const std::uint64_t end = kLowHoleEnd + regions[1].length.value;
  return address <= end && length <= end - address;
}

}  // namespace vmsec::kvm
