// What a former life of the agent left undecided: guests that are held, and guests that
// stay because they are still here.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "resolver.hpp"

namespace vmsec::migration {

// Any thread. A hypervisor that does not answer yet, or is still at work on a guest, is
// asked again until it does, in a thread of its own.
class LeftOver {
 public:
  explicit LeftOver(Resolver& resolver) : resolver_(resolver) {}
  ~LeftOver();
  LeftOver(const LeftOver&) = delete;
  LeftOver& operator=(const LeftOver&) = delete;

  // Once: with the ledger as it was loaded. What can be done at once is done when it returns.
  void begin(const std::vector<OwnershipRecord>& records);

 private:
  void run();
  bool step();  // true: nothing is left to do

  Resolver& resolver_;
  std::vector<OwnershipRecord> not_held_;  // a guest whose owner is not decided must not be resumed by hand
  std::vector<OwnershipRecord> not_decided_;
  std::vector<OwnershipRecord> not_let_go_;  // lost, and perhaps held still
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace vmsec::migration
