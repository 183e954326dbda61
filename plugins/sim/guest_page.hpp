// What a page of a simulated guest holds: a function of (key, page, generation),
// so that anybody who can read the memory can verify it.
//
//   generation 0   zeros: the guest never wrote this page
//   page 0         the tick, 8 bytes little endian, and zeros
//   else           word 0: the generation, little endian (how often it was written)
//                  word i: splitmix64(content_seed(seed, page, generation) + i)
//                  the last 64 bytes: the marker, where the guest has one
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>

namespace vmsec::sim {

static_assert(std::endian::native == std::endian::little, "guest pages are little endian");

inline constexpr std::size_t kPageSize = 4096;
inline constexpr std::size_t kMarkerSize = 64;

constexpr std::uint64_t splitmix64(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

constexpr std::uint64_t content_seed(std::uint64_t seed, std::uint64_t page, std::uint64_t generation) {
  return splitmix64(splitmix64(splitmix64(seed) ^ page) ^ generation);
}

struct PageContent {
  std::uint64_t seed = 0;
  std::string marker;  // empty, or 1 to 64 bytes, repeated to 64

  void write(std::uint64_t page, std::uint64_t generation, unsigned char* out) const {
    if (generation == 0) {
      std::memset(out, 0, kPageSize);
      return;
    }
    const std::uint64_t start = content_seed(seed, page, generation);
    std::memcpy(out, &generation, sizeof generation);
    for (std::size_t i = 1; i < kPageSize / 8; ++i) {
      const std::uint64_t word = splitmix64(start + i);
      std::memcpy(out + i * 8, &word, sizeof word);
    }
    if (marker.empty()) return;
    for (std::size_t i = 0; i < kMarkerSize; ++i)
      out[kPageSize - kMarkerSize + i] = static_cast<unsigned char>(marker[i % marker.size()]);
  }

  // Whether the page holds what the guest would have written. Page 0 always does.
  [[nodiscard]] bool matches(std::uint64_t page, std::uint64_t generation, const unsigned char* bytes) const {
    if (page == 0) return true;
    std::array<unsigned char, kPageSize> expected;
    write(page, generation, expected.data());
    return std::memcmp(expected.data(), bytes, kPageSize) == 0;
  }
};

// Finds mistakes of the engine (a page that is stale, lost or in the wrong
// place). It is no protection against an attacker: that is the channel's.
// Digests of pages add up, in any order, to the digest of the memory.
struct Digest {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const Digest&, const Digest&) = default;
  Digest& operator+=(const Digest& other) {
    low += other.low;
    high += other.high;
    return *this;
  }
};

inline Digest page_digest(std::uint64_t page, const unsigned char* bytes) {
  std::uint64_t low = splitmix64(page);
  std::uint64_t high = splitmix64(~page);
  for (std::size_t i = 0; i < kPageSize; i += 16) {
    std::uint64_t words[2];
    std::memcpy(words, bytes + i, sizeof words);
    low = std::rotl((low ^ words[0]) * 0x9fb21c651e98df25u, 29);
    high = std::rotl((high ^ words[1]) * 0xd6e8feb86659fd93u, 31);
  }
  return {splitmix64(low), splitmix64(high)};
}

inline bool is_zero(const unsigned char* bytes) {
  return bytes[0] == 0 && std::memcmp(bytes, bytes + 1, kPageSize - 1) == 0;
}

}  // namespace vmsec::sim
