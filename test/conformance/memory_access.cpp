#include <sys/mman.h>

#include <atomic>

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

// Of a paused guest, so that two reads can agree.
template <class Test>
Outcome of_paused(Fixture& fixture, Test&& test) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto domains = fixture.open_a<DomainControl>();
  CONFORMANCE_CHECK(domains->pause({domain}));
  const auto memory = fixture.open_a<MemoryAccess>();
  const Outcome outcome = test(*memory, domain);
  CONFORMANCE_CHECK(domains->resume({domain}));
  return outcome;
}

Outcome reads_agree(Fixture& fixture) {
  return of_paused(fixture, [](MemoryAccess& memory, const Uuid& domain) {
    CONFORMANCE_TRY(const auto first, memory.read({domain, kPlace, {65536}}));
    CONFORMANCE_TRY(const auto second, memory.read({domain, kPlace, {65536}}));
    CONFORMANCE_EXPECT(first.bytes.size() == 65536 && first.bytes == second.bytes, "two reads differ");
    return passed();
  });
}

Outcome pieces_agree(Fixture& fixture) {
  return of_paused(fixture, [](MemoryAccess& memory, const Uuid& domain) {
    CONFORMANCE_TRY(const auto whole, memory.read({domain, kPlace, {3 * 4096}}));
    // Across the ends of pages, and not from their beginning.
    CONFORMANCE_TRY(const auto piece, memory.read({domain, kPlace + 4000, {5000}}));
    CONFORMANCE_EXPECT(piece.bytes == whole.bytes.substr(4000, 5000), "a piece differs from the whole");
    return passed();
  });
}

Outcome one_byte(Fixture& fixture) {
  return of_paused(fixture, [](MemoryAccess& memory, const Uuid& domain) {
    CONFORMANCE_TRY(const auto page, memory.read({domain, kPlace, {4096}}));
    CONFORMANCE_TRY(const auto last, memory.read({domain, kPlace + 4095, {1}}));
    CONFORMANCE_EXPECT(last.bytes == page.bytes.substr(4095), "a byte differs from its page");
    return passed();
  });
}

Outcome nothing_is_read(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto none, fixture.open_a<MemoryAccess>()->read({domain, kPlace, {0}}));
  CONFORMANCE_EXPECT(none.bytes.empty(), "bytes that nobody asked for");
  return passed();
}

Outcome largest_read(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto most, fixture.open_a<MemoryAccess>()->read({domain, kPlace, {1 << 20}}));
  CONFORMANCE_EXPECT(most.bytes.size() == 1 << 20, std::to_string(most.bytes.size()) + " bytes");
  return passed();
}

Outcome reading_stops_nobody(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_CHECK(fixture.open_a<MemoryAccess>()->read({domain, kPlace, {1 << 20}}));
  CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({domain}));
  CONFORMANCE_EXPECT(info.state == DomainState::running, "the guest does not run");
  return passed();
}

Outcome readers_at_once(Fixture& fixture) {
  return of_paused(fixture, [&](MemoryAccess& memory, const Uuid& domain) {
    CONFORMANCE_TRY(const auto wanted, memory.read({domain, kPlace, {4096}}));
    std::atomic<int> bad = 0;
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
          const auto own = fixture.open_a<MemoryAccess>();
          for (int n = 0; n < 4; ++n) {
            const auto read = own->read({domain, kPlace, {4096}});
            if (!read || read->bytes != wanted.bytes) ++bad;
          }
        });
    }
    CONFORMANCE_EXPECT(bad == 0, std::to_string(bad.load()) + " of 16 reads differ or failed");
    return passed();
  });
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
  add("two reads of a paused guest agree", reads_agree);
  add("a piece across pages is the whole's", pieces_agree);
  add("one byte is its page's", one_byte);
  add("a read of nothing gives nothing", nothing_is_read);
  add("1 MiB can be read at once", largest_read);
  add("reading leaves the guest running", reading_stops_nobody);
  add("readers at once see the same", readers_at_once);
  add("a read beyond the guest's memory is refused", [](Fixture& f) { return read_of(f, 1ULL << 46, 4096); });
  add("a read that wraps around is refused", [](Fixture& f) { return read_of(f, ~0ULL - 100, 4096); });
  add("a read of more than 1 MiB is refused", [](Fixture& f) { return read_of(f, 0, (1 << 20) + 1); });
  add("map of a stranger is not_found",
      [](Fixture& f) { return expect(Code::not_found, f.open_a<MemoryAccess>()->map({stranger()})); });
  add("read of a stranger is not_found",
      [](Fixture& f) { return expect(Code::not_found, f.open_a<MemoryAccess>()->read({stranger(), 0, {4096}})); });
}

}  // namespace vmsec::conformance
