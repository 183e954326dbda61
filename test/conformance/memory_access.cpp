#include <sys/mman.h>

#include "fixture.hpp"
#include "suite.hpp"

namespace vmsec::conformance {
namespace {

constexpr std::uint64_t kPlace = 16 << 20;  // within every guest, and used by the test guests

Outcome map_covers_memory(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto map, fixture.open_a<MemoryAccess>()->map({domain}));
  CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({domain}));
  std::uint64_t mapped = 0;
  for (const auto& region : map.regions) mapped += region.length.value;
  // A PC has places below 1 MiB that no memory answers.
  CONFORMANCE_EXPECT(mapped + (1 << 20) > info.memory.value,
                     std::to_string(mapped) + " bytes of " + std::to_string(info.memory.value));
  return passed(std::to_string(mapped >> 20) + " MiB");
}

Outcome map_equals_read(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto domains = fixture.open_a<DomainControl>();
  CONFORMANCE_TRY(const auto map, fixture.open_a<MemoryAccess>()->map({domain}));
  CONFORMANCE_CHECK(domains->pause({domain}));
  const auto bytes = fixture.open_a<MemoryAccess>()->read({domain, kPlace, {65536}});
  bool same = false;
  for (const auto& region : map.regions) {
    if (!bytes || kPlace < region.guest_address || kPlace + 65536 > region.guest_address + region.length.value)
      continue;
    const auto offset = static_cast<off_t>(region.file_offset + kPlace - region.guest_address);
    void* const view = ::mmap(nullptr, 65536, PROT_READ, MAP_SHARED, map.file.get(), offset);
    if (view == MAP_FAILED) continue;
    same = std::string_view(static_cast<const char*>(view), 65536) == bytes->bytes;
    ::munmap(view, 65536);
  }
  CONFORMANCE_CHECK(domains->resume({domain}));
  if (!bytes) return from_error(bytes.error());
  CONFORMANCE_EXPECT(same, "the mapping and read() differ");
  return passed();
}

Outcome writing_is_seen(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto memory = fixture.open_a<MemoryAccess>();
  const auto picture = [&] {
    std::string all;
    for (std::uint64_t place = 0; place < 32u << 20; place += 1 << 20) {
      const auto part = memory->read({domain, place, {1 << 20}});
      if (part) all += part->bytes;
    }
    return all;
  };
  const std::string before = picture();
  CONFORMANCE_EXPECT(!before.empty(), "nothing could be read");
  CONFORMANCE_EXPECT(wait_until([&] { return picture() != before; }), "the guest's memory never changed");
  return passed();
}

Outcome read_of(Fixture& fixture, std::uint64_t address, std::uint64_t length) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  return expect(Code::invalid_argument, fixture.open_a<MemoryAccess>()->read({domain, address, {length}}));
}

}  // namespace

void add_memory_access(Checks& checks) {
  const auto add = [&](std::string claim, std::function<Outcome(Fixture&)> run) {
    checks.push_back({"MemoryAccess", std::move(claim), std::move(run)});
  };
  add("the mapping covers the guest's memory", map_covers_memory);
  add("the mapping and read() agree on a paused guest", map_equals_read);
  add("what a running guest writes is seen", writing_is_seen);
  add("a read beyond the guest's memory is refused", [](Fixture& f) { return read_of(f, 1ULL << 46, 4096); });
  add("a read that wraps around is refused", [](Fixture& f) { return read_of(f, ~0ULL - 100, 4096); });
  add("a read of more than 1 MiB is refused", [](Fixture& f) { return read_of(f, 0, (1 << 20) + 1); });
  add("map of a stranger is not_found",
      [](Fixture& f) { return expect(Code::not_found, f.open_a<MemoryAccess>()->map({stranger()})); });
  add("read of a stranger is not_found",
      [](Fixture& f) { return expect(Code::not_found, f.open_a<MemoryAccess>()->read({stranger(), 0, {4096}})); });
}

}  // namespace vmsec::conformance
