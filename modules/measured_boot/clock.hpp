// The time that ages are counted by. A test brings its own.
#pragma once

#include <chrono>
#include <functional>

namespace vmsec::boot {

using SteadyTime = std::chrono::steady_clock::time_point;
using Clock = std::function<SteadyTime()>;

}  // namespace vmsec::boot
