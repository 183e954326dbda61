// What a simulated domain is: the content of its file (README.md: "Domain files").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vmsec/types.hpp"

namespace vmsec::sim {

enum class Pattern { idle, uniform, hot, sequential };

std::string_view to_string(Pattern pattern);

struct CpuWorkload {
  Pattern pattern = Pattern::uniform;
  std::uint64_t dirty_rate = 0;  // pages a second, of all vCPUs that it may have together
  double hot_fraction = 0.1;     // of the memory, for Pattern::hot
  double fill = 0.5;             // of the memory is written at boot
  double cpu = 1;                // of each vCPU's time is wanted
  std::string marker;            // see guest_page.hpp
  friend bool operator==(const CpuWorkload&, const CpuWorkload&) = default;
};

struct DiskSpec {
  std::string target;
  std::string source;   // a name in the host's folder of disks, or an absolute path
  Bytes capacity;       // 0: its file's (measure_disk())
  BytesPerSecond read;  // what the guest wants
  BytesPerSecond write;
  Bytes block{65536};
  friend bool operator==(const DiskSpec&, const DiskSpec&) = default;
};

struct NicSpec {
  std::string target;
  std::string mac;
  BytesPerSecond receive;
  BytesPerSecond transmit;
  friend bool operator==(const NicSpec&, const NicSpec&) = default;
};

struct DomainSpec {
  Uuid uuid;
  std::string name;
  Bytes memory;
  std::uint32_t vcpus = 1;          // that it has when it starts
  std::uint32_t vcpus_maximum = 1;  // that it may be given
  std::uint64_t seed = 0;
  bool tpm = false;
  std::vector<std::string> tags;
  CpuWorkload workload;
  std::vector<DiskSpec> disks;
  std::vector<NicSpec> nics;
  friend bool operator==(const DomainSpec&, const DomainSpec&) = default;
};

inline constexpr std::size_t kDomainFileMaximum = 64UL * 1024;

// Reads a domain file. `name` is what errors call it: "web-1.toml:3:10: memory: ...".
Result<DomainSpec> parse_domain(std::string_view text, std::string_view name);

// The same domain as text, always the same bytes for the same domain: parsing
// it gives an equal spec.
std::string write_domain(const DomainSpec& spec);

}  // namespace vmsec::sim
