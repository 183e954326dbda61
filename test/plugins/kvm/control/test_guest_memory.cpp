#include <catch2/catch.hpp>

#include "guest_memory.hpp"

using namespace vmsec;
using namespace vmsec::kvm;

namespace {
constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
}  // namespace

TEST_CASE("small memory is in one piece, but for what video and firmware cover") {
  const auto regions = ram_regions("pc-i440fx-7.2", 256 * kMiB);
  REQUIRE(regions);
  REQUIRE(regions->size() == 2);
  CHECK((*regions)[0].length.value == 0xa0000);
  CHECK((*regions)[1].guest_address == kMiB);
  CHECK((*regions)[1].file_offset == kMiB);
  CHECK((*regions)[1].length.value == 255 * kMiB);
}

TEST_CASE("large memory goes on at 4 GiB") {
  const auto pc = ram_regions("pc-i440fx-7.2", 4 * kGiB);
  REQUIRE(pc);
  REQUIRE(pc->size() == 3);
  CHECK((*pc)[2].guest_address == 4 * kGiB);
  CHECK((*pc)[2].file_offset == 3 * kGiB);
  CHECK((*pc)[2].length.value == kGiB);
  const auto q35 = ram_regions("pc-q35-7.2", 4 * kGiB);
  REQUIRE(q35);
  CHECK((*q35)[2].file_offset == 2 * kGiB);
  CHECK(ram_regions("pc-i440fx-7.2", 3 * kGiB)->size() == 2);
  CHECK(ram_regions("pc-q35-7.2", 2560 * kMiB)->size() == 2);
  CHECK(ram_regions("pc-q35-7.2", 2816 * kMiB)->size() == 3);
}

TEST_CASE("a machine whose layout is not known is unsupported") {
  CHECK(ram_regions("virt-7.2", kGiB).error().code == Code::unsupported);
  CHECK(ram_regions("pc-i440fx-1.7", kGiB).error().code == Code::unsupported);
  CHECK(ram_regions("", kGiB).error().code == Code::unsupported);
}

TEST_CASE("a range must be within the guest's memory, to the last byte") {
  const auto regions = *ram_regions("pc-i440fx-7.2", 256 * kMiB);
  CHECK(is_guest_memory(regions, 0, 1));
  CHECK(is_guest_memory(regions, 0xa0000 - 1, 2));  // into the low hole
  CHECK(region_of(regions, 0xa0000 - 1, 2) == nullptr);
  CHECK(is_guest_memory(regions, 256 * kMiB - 1, 1));
  CHECK_FALSE(is_guest_memory(regions, 256 * kMiB - 1, 2));
  CHECK_FALSE(is_guest_memory(regions, 256 * kMiB, 1));
  CHECK_FALSE(is_guest_memory(regions, ~std::uint64_t{0}, 2));
  CHECK_FALSE(is_guest_memory(regions, 1, ~std::uint64_t{0}));
  const auto large = *ram_regions("pc-i440fx-7.2", 4 * kGiB);
  CHECK_FALSE(is_guest_memory(large, 3 * kGiB, 1));
  CHECK(is_guest_memory(large, 5 * kGiB - 1, 1));
  CHECK_FALSE(is_guest_memory(large, 5 * kGiB, 1));
}
