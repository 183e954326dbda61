#include <sys/mman.h>

#include "real_host.hpp"

using namespace vmsec;
using namespace vmsec::kvm::test;

namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::string_view kMarker = "find-me-in-memory";

std::string read_at(Host& host, const Guest& guest, std::uint64_t address, std::uint64_t length) {
  return must(host.memory->read({guest.uuid, address, {length}})).bytes;
}

// What libvirt's own peek says.
std::string peek(const Guest& guest, std::uint64_t address, std::uint64_t length) {
  std::string bytes(length, '\0');
  REQUIRE(virDomainMemoryPeek(guest.handle(), address, length, bytes.data(), VIR_MEMORY_PHYSICAL) == 0);
  return bytes;
}

}  // namespace

TEST_CASE("a guest's memory is mapped, and holds what libvirt's peek reads") {
  if (!have_host() || !have({"VMSEC_TEST_KVM_RUN_DIR"})) return;
  Host host;
  const Guest guest(host, {.name = "map", .command_line = "verify=0 marker=" + std::string(kMarker)});
  const auto marked = [&] { return read_at(host, guest, 32 * kMiB, 4096).find(kMarker) != std::string::npos; };
  REQUIRE(eventually(marked));
  must(host.domains->pause(guest.ref()));
  const MemoryMap map = must(host.memory->map(guest.ref()));
  REQUIRE(map.regions.size() == 2);
  for (const auto& region : map.regions) {
    void* at = mmap(nullptr, region.length.value, PROT_READ, MAP_SHARED, map.file.get(),
                    static_cast<off_t>(region.file_offset));
    REQUIRE(at != MAP_FAILED);
    const std::string_view bytes(static_cast<const char*>(at), region.length.value);
    for (const std::uint64_t offset : {std::uint64_t{0}, region.length.value / 2, region.length.value - 4096}) {
      const std::string peeked = peek(guest, region.guest_address + offset, 4096);
      CHECK((bytes.substr(offset, 4096) == peeked));
      CHECK((read_at(host, guest, region.guest_address + offset, 4096) == peeked));
    }
    munmap(at, region.length.value);
  }
  // Not through this descriptor.
  CHECK(mmap(nullptr, 4096, PROT_WRITE, MAP_SHARED, map.file.get(), 0) == MAP_FAILED);
}

TEST_CASE("memory that is in no file is unsupported to map, and still read") {
  if (!have_host()) return;
  Host host;
  const Guest guest(host,
                    {.name = "peek", .command_line = "verify=0 marker=" + std::string(kMarker), .memory_file = false});
  const auto marked = [&] { return read_at(host, guest, 32 * kMiB, 4096).find(kMarker) != std::string::npos; };
  CHECK(eventually(marked));
  CHECK(refusal(host.memory->map(guest.ref())).code == Code::unsupported);
  CHECK(read_at(host, guest, 0, kMiB).size() == kMiB);
}

TEST_CASE("a read beyond the guest's memory or of too much is refused") {
  if (!have_host()) return;
  Host host;
  const Guest guest(host, {.name = "bounds"});
  const auto code = [&](std::uint64_t address, std::uint64_t length) {
    return refusal(host.memory->read({guest.uuid, address, {length}})).code;
  };
  CHECK(code(0, kMiB + 1) == Code::invalid_argument);
  CHECK(code(64 * kMiB, 1) == Code::invalid_argument);
  CHECK(code(64 * kMiB - 1, 2) == Code::invalid_argument);
  CHECK(code(~std::uint64_t{0}, 1) == Code::invalid_argument);
  CHECK(read_at(host, guest, 64 * kMiB - 1, 1).size() == 1);
  CHECK(read_at(host, guest, 0xa0000 - 16, 32).size() == 32);  // into what video memory covers
}

TEST_CASE("large memory is where QEMU puts it, on both machines") {
  if (!have_host() || !have({"VMSEC_TEST_KVM_RUN_DIR"})) return;
  Host host;
  for (const std::string machine : {"pc-i440fx-7.2", "pc-q35-7.2"}) {
    const Guest guest(host, {.name = "large", .memory_mib = 4096, .machine = machine});
    must(host.domains->pause(guest.ref()));
    const MemoryMap map = must(host.memory->map(guest.ref()));
    REQUIRE(map.regions.size() == 3);
    // A byte that differs from its surroundings, written by this test through QEMU's
    // own file, is seen by QEMU at the address that the map says.
    const MemoryRegion& high = map.regions[2];
    const std::string path = "/proc/self/fd/" + std::to_string(map.file.get());
    const Fd writable(open(path.c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(writable.valid());
    for (const auto& region : {map.regions[1], high}) {
      const std::uint64_t last = region.length.value - 8;
      const std::string sign = "vmsec" + std::to_string(region.guest_address % 977 % 900 + 100);
      REQUIRE(pwrite(writable.get(), sign.data(), 8, static_cast<off_t>(region.file_offset + last)) == 8);
      CHECK((peek(guest, region.guest_address + last, 8) == sign));
      CHECK((read_at(host, guest, region.guest_address + last, 8) == sign));
    }
    CHECK(refusal(host.memory->read({guest.uuid, high.file_offset, {1}})).code == Code::invalid_argument);
  }
}
