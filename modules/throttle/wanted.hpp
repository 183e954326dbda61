// What a policy's [vm.throttle] asks for.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "vmsec/settings.hpp"

namespace vmsec::throttle {

// 0 is unlimited; an absent value is left as it is.
using Limit = std::optional<std::uint64_t>;

struct DiskWanted {
  Limit read, write;              // bytes/s
  Limit read_ops, write_ops;      // ops/s
  Limit read_burst, write_burst;  // bytes/s; a rate that comes without one has none
  std::optional<std::uint32_t> burst_seconds;
};

struct NicWanted {
  Limit receive, transmit;  // bytes/s, as the guest sees them
};

// By device; "*" is every device that has no table of its own, and what is left
// open by the table that it has.
struct Wanted {
  std::map<std::string, DiskWanted> disks;
  std::map<std::string, NicWanted> nics;
};

inline constexpr std::string_view kEvery = "*";

// Everything that is wrong with the section; `wanted` holds the rest.
Findings read(const Settings& section, Wanted& wanted);

}  // namespace vmsec::throttle
