#include "bulk_channels.hpp"

#include <sched.h>

#include <algorithm>
#include <thread>

namespace vmsec::migration {
namespace {

constexpr std::uint32_t kCpusPerChannel = 2;
// As many as fit, with max_incoming migrations at once, into what a worker may have of threads and memory.
constexpr std::uint32_t kMostByItself = 4;

}  // namespace

std::uint32_t usable_cpus() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  // Fails on a machine with more CPUs than the set has room for.
  if (::sched_getaffinity(0, sizeof cpus, &cpus) != 0) return std::max(1U, std::thread::hardware_concurrency());
  return static_cast<std::uint32_t>(std::max(1, CPU_COUNT(&cpus)));
}

std::uint32_t bulk_channels_for(std::uint32_t cpus, std::uint32_t most) {
  const std::uint32_t channels = cpus / kCpusPerChannel;
  return channels < 2 ? 0 : std::min({channels, kMostByItself, most});
}

}  // namespace vmsec::migration
