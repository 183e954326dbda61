#include "memory_access.hpp"

namespace vmsec::sim {

Result<MemoryMap> SimMemoryAccess::map(const DomainRef& request) {
  VMSEC_CHECK(host_.faults().call("MemoryAccess.Map"));
  VMSEC_TRY(auto machine, host_.machine(request.domain, "map the memory of"));
  // Through the map nobody could wait for a page.
  if (machine->memory().behind().left() != 0)
    return fail(Code::wrong_state, "map the memory of " + machine->spec().name + ": its memory follows by post-copy");
  MemoryMap map;
  VMSEC_TRY(map.file, machine->memory().read_only());
  map.regions.push_back({0, machine->memory().size(), 0});
  return map;
}

Result<MemoryBytes> SimMemoryAccess::read(const ReadMemory& request) {
  constexpr std::uint64_t kMost = 1 << 20;
  VMSEC_CHECK(host_.faults().call("MemoryAccess.Read"));
  VMSEC_TRY(auto machine, host_.machine(request.domain, "read the memory of"));
  const std::string what = "read " + std::to_string(request.length.value) + " bytes at " +
                           std::to_string(request.guest_address) + " of " + machine->spec().name;
  if (request.length.value > kMost) return fail(Code::invalid_argument, what + ": more than the 1048576 of one call");
  const std::uint64_t size = machine->memory().size().value;
  if (request.guest_address > size || request.length.value > size - request.guest_address)
    return fail(Code::invalid_argument, what + ": outside of its " + std::to_string(size) + " bytes of memory");
  MemoryBytes out{std::string(request.length.value, '\0')};
  VMSEC_CHECK(machine->memory().read(request.guest_address, out.bytes.size(), out.bytes.data()));
  return out;
}

}  // namespace vmsec::sim
