// What a policy's [vm.isolation] asks for.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "vmsec/settings.hpp"
#include "vmsec/types.hpp"

namespace vmsec::isolation {

using Cpus = std::vector<std::uint32_t>;  // ascending, without repeats; none: all

// An absent value is left as it is.
struct Wanted {
  std::optional<std::uint32_t> cpu_weight;
  std::optional<std::uint32_t> cpu_quota_millis;  // 0: unlimited
  std::optional<Bytes> memory_limit;              // 0: unlimited
  std::optional<std::uint32_t> vcpus;             // how many
  std::optional<Cpus> pin;                        // of each vCPU that is not in vcpu_pins
  std::map<std::uint32_t, Cpus> vcpu_pins;
};

// Everything that is wrong with the section; `wanted` holds the rest.
Findings read(const Settings& section, Wanted& wanted);

}  // namespace vmsec::isolation
