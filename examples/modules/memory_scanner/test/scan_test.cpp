// What a scan finds, against what the bytes were made of.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstdio>
#include <random>

#include "../guest.hpp"

using namespace memory_scanner;

namespace {

int failures = 0;

#define EXPECT(condition)                                                  \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                          \
    }                                                                      \
  } while (false)

Wanted wanted_of(const std::string& hex, std::uint32_t hits = 1000) {
  Wanted wanted;
  wanted.hits = hits;
  wanted.patterns["x"] = *bytes_of_hex(hex);
  return wanted;
}

std::size_t naive(std::string_view memory, std::string_view pattern) {
  std::size_t count = 0;
  for (auto at = memory.find(pattern); at != std::string_view::npos; at = memory.find(pattern, at + 1)) ++count;
  return count;
}

// Few different bytes, so that much nearly matches; odd sizes, across pieces.
void finds_what_a_naive_search_finds() {
  std::mt19937 random(7);
  for (const char* hex :
       {"01", "0101", "010001", "0200000001", "0102010201020102", "01010101010101010101010101010101010101"})
    for (const std::size_t size : {0UL, 1UL, 7UL, 31UL, 4096UL, (256UL << 10) + 5, (512UL << 10) + 1}) {
      std::string memory(size, '\0');
      for (char& c : memory) c = static_cast<char>(random() % 3);
      Wanted wanted = wanted_of(hex, 1u << 30);
      Scan scan(wanted);
      scan.look_at(0x1000, memory);
      EXPECT(scan.hits().size() == naive(memory, wanted.patterns["x"]));
      EXPECT(scan.bytes() == size);
    }
}

void a_pattern_across_two_pieces_is_found_once() {
  const Wanted wanted = wanted_of("a1b2c3d4");
  for (std::size_t place = (256 << 10) - 5; place < (256 << 10) + 2; ++place) {
    std::string memory(300 << 10, '\0');
    memory.replace(place, 4, "\xa1\xb2\xc3\xd4");
    Scan scan(wanted);
    scan.look_at(0, memory);
    EXPECT(scan.hits().size() == 1 && scan.hits()[0].address == place);
  }
}

void hits_are_bounded() {
  const Wanted wanted = wanted_of("ff", 5);
  Scan scan(wanted);
  scan.look_at(0, std::string(1 << 20, '\xff'));
  EXPECT(scan.full() && scan.hits().size() == 5);
}

void patterns_that_say_nothing_are_refused() {
  for (const char* hex : {"", "0", "00 00", "00 01", "01 00", "0g", "+1", "-1", "0x12"}) EXPECT(!bytes_of_hex(hex));
  EXPECT(!bytes_of_hex(std::string(2 * kLongest + 2, 'a')));
  EXPECT(bytes_of_hex(std::string(2 * kLongest, 'a')));
  EXPECT(*bytes_of_hex("DE ad") == "\xde\xad");
}

void holes_are_passed_over_and_stay_holes() {
  vmsec::Fd file(::memfd_create("guest", MFD_CLOEXEC));
  constexpr std::size_t kSize = 64 << 20;
  EXPECT(::ftruncate(file.get(), kSize) == 0);
  EXPECT(::pwrite(file.get(), "\x42", 1, 32 << 20) == 1);
  const Wanted wanted = wanted_of("42");
  Scan scan(wanted);
  vmsec::MemoryMap map;
  map.file = std::move(file);
  map.regions.push_back({0x100000, {kSize}, 0});
  EXPECT(scan_mapped(scan, map));
  EXPECT(scan.hits().size() == 1 && scan.hits()[0].address == 0x100000 + (32 << 20));
  EXPECT(scan.bytes() <= 2 << 20);
  struct stat found{};
  EXPECT(::fstat(map.file.get(), &found) == 0 && found.st_blocks * 512 <= 2 << 20);
  map.regions.push_back({0, {4096}, kSize});
  EXPECT(!scan_mapped(scan, map));  // behind the file's end
}

// A guest without a mapping: 3 MiB, a gap as a PC has below its first MiB, and 1 MiB that nothing answers.
class Gaps final : public vmsec::MemoryAccess {
 public:
  std::string memory = std::string(4 << 20, '\0');
  vmsec::Result<vmsec::MemoryMap> map(const vmsec::DomainRef&) override {
    return vmsec::fail(vmsec::Code::unsupported, "no");
  }
  vmsec::Result<vmsec::MemoryBytes> read(const vmsec::ReadMemory& r) override {
    const auto meets = [&](std::uint64_t from, std::uint64_t to) {
      return r.guest_address < to && r.guest_address + r.length.value > from;
    };
    if (meets(0xa0000, 0xc0000) || meets(2 << 20, 3 << 20) || meets(memory.size(), ~0ULL))
      return vmsec::fail(vmsec::Code::invalid_argument, "outside");
    return vmsec::MemoryBytes{memory.substr(r.guest_address, r.length.value)};
  }
};

void reads_go_around_gaps() {
  Gaps guest;
  const std::string pattern = "\xa1\xb2\xc3\xd4";
  const std::uint64_t places[] = {0, 0x9fffc, 0xc0000, (1 << 20) - 2, (2 << 20) - 4, 3 << 20, (4 << 20) - 4};
  for (const auto place : places) guest.memory.replace(place, 4, pattern);
  guest.memory.replace(0xb0000, 4, pattern);  // in a gap
  const Wanted wanted = wanted_of("a1b2c3d4");
  Scan scan(wanted);
  EXPECT(Reads(scan, guest, {}).all((3 << 20) - (0xc0000 - 0xa0000)));
  EXPECT(scan.hits().size() == std::size(places));
  for (std::size_t i = 0; i < std::min(scan.hits().size(), std::size(places)); ++i)
    EXPECT(scan.hits()[i].address == places[i]);
}

}  // namespace

int main() {
  finds_what_a_naive_search_finds();
  a_pattern_across_two_pieces_is_found_once();
  hits_are_bounded();
  patterns_that_say_nothing_are_refused();
  holes_are_passed_over_and_stay_holes();
  reads_go_around_gaps();
  return failures == 0 ? 0 : 1;
}
