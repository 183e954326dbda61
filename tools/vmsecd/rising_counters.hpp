// A hypervisor forgets the CPU time of a vCPU that was taken away: a counter that falls is a new start to whoever reads
// it, and what is left of it a leap.
#pragma once

#include <map>
#include <vector>

#include "common/readings.hpp"

namespace vmsec::daemon {

// Not thread-safe.
class RisingCounters {
 public:
  // Adds to each VM's CPU time and steal what it lost with its vCPUs since it started.
  void keep(std::vector<tools::Reading>& readings);

 private:
  struct Seen {
    std::uint32_t vcpus = 0;
    std::uint64_t cpu_time = 0;
    std::uint64_t steal = 0;
    std::uint64_t lost_cpu_time = 0;
    std::uint64_t lost_steal = 0;
  };
  std::map<Uuid, Seen> seen_;
};

}  // namespace vmsec::daemon
