// Event logs for tests: one of a real boot, and makers of others.
#pragma once

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "evidence/digest.hpp"
#include "evidence/eventlog.hpp"
#include "paths.hpp"

namespace vmsec::boot::test {

inline std::string read_whole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::string ovmf_log() { return read_whole(VMSEC_SOURCE_DIR "/test/data/eventlogs/ovmf-q35.bin"); }

template <std::unsigned_integral T>
std::string little(T value) {
  std::string out = big_endian(value);
  return {out.rbegin(), out.rend()};
}

inline std::string sha1_event(std::uint32_t pcr, std::uint32_t type, std::string_view digest, std::string_view data) {
  return little(pcr) + little(type) + std::string(digest) + little(static_cast<std::uint32_t>(data.size())) +
         std::string(data);
}

using Algorithms = std::vector<std::pair<std::uint16_t, std::uint16_t>>;

inline std::string spec_id(const Algorithms& algorithms, std::string_view vendor = {}) {
  std::string data("Spec ID Event03\0", 16);
  data += std::string(4, '\0') + std::string("\0\2\0\2", 4) + little(static_cast<std::uint32_t>(algorithms.size()));
  for (const auto& [id, size] : algorithms) data += little(id) + little(size);
  return data + static_cast<char>(vendor.size()) + std::string(vendor);
}

inline std::string header(const Algorithms& algorithms = {{0x000b, 32}}) {
  return sha1_event(0, kNoAction, std::string(20, '\0'), spec_id(algorithms));
}

using Digests = std::vector<std::pair<std::uint16_t, std::string>>;

inline std::string event(std::uint32_t pcr, std::uint32_t type, const Digests& digests, std::string_view data = "x") {
  std::string out = little(pcr) + little(type) + little(static_cast<std::uint32_t>(digests.size()));
  for (const auto& [id, digest] : digests) out += little(id) + digest;
  return out + little(static_cast<std::uint32_t>(data.size())) + std::string(data);
}

inline std::string sha256_event(std::uint32_t pcr, std::uint32_t type, char fill, std::string_view data = "x") {
  return event(pcr, type, {{0x000b, std::string(32, fill)}}, data);
}

}  // namespace vmsec::boot::test
