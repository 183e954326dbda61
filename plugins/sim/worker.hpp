// Something of a domain that does work while the domain runs: a vCPU, a disk, a NIC.
#pragma once

#include <cstdint>

#include "clock.hpp"

namespace vmsec::sim {

enum class Next {
  sleep,  // until the next period
  again,  // there is work left now
};

class Worker {
 public:
  virtual ~Worker() = default;
  // Does what is due: `seconds` have passed since the last step. Takes a few
  // milliseconds at most, so that a domain stops at once.
  virtual Next step(TimePoint now, double seconds) = 0;
};

// Work that is wanted at a rate. What could not be done is not all made up for:
// a guest that was held back does not storm afterwards.
class Demand {
 public:
  explicit Demand(double rate) : rate_(rate) {}
  void pass(double seconds, double smallest) {
    due_ += rate_ * seconds;
    const double most = rate_ * 0.25 + smallest;
    if (due_ > most) due_ = most;
  }
  [[nodiscard]] double due() const { return due_; }
  void done(double amount) { due_ -= amount; }

 private:
  double rate_;
  double due_ = 0;
};

}  // namespace vmsec::sim
