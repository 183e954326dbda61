// The clock of everything that the simulation paces.
#pragma once

#include <chrono>

namespace vmsec::sim {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

inline double seconds_between(TimePoint from, TimePoint to) { return std::chrono::duration<double>(to - from).count(); }

}  // namespace vmsec::sim
