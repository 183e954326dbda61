// How many channels carry a guest's memory where the operator has not said.
#pragma once

#include <cstdint>

namespace vmsec::migration {

// The CPUs that this process may use: its affinity, and with it the cgroup's cpuset.
std::uint32_t usable_cpus();

// For so many CPUs, of what the hypervisor opens at most (0: it has none). A channel keeps two threads busy at each
// end, the hypervisor's and the stream's: more channels than pairs of CPUs take turns, which costs more than it gains.
// Below four CPUs one stream carries everything.
std::uint32_t bulk_channels_for(std::uint32_t cpus, std::uint32_t most);

}  // namespace vmsec::migration
