// The counters and limits of all VMs of a host, read at once.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "vmsec/capability/domain_control.hpp"
#include "vmsec/capability/io_control.hpp"
#include "vmsec/capability/resource_control.hpp"

namespace vmsec::tools {

using SteadyTime = std::chrono::steady_clock::time_point;

// A part that the hypervisor does not have, or a VM that went away meanwhile, leaves nothing. One VM's trouble hides
// no other VM.
struct Reading {
  SteadyTime time;  // of `domain`: all VMs' at once
  DomainInfo domain;
  SteadyTime counted;  // of `counters`
  std::optional<IoStatistics> counters;
  std::optional<ResourceLimits> resources;
  std::optional<IoLimits> limits;
  std::optional<Error> trouble;  // the first part that could not be read, though it should
};

struct Interfaces {
  DomainControl& domains;
  ResourceControl& resources;
  IoControl& io;
};

// By name. An error only where the list cannot be had, or the hypervisor went away meanwhile.
Result<std::vector<Reading>> read_all(const Interfaces& host);

}  // namespace vmsec::tools
