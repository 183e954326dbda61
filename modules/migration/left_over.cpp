#include "left_over.hpp"

#include <algorithm>
#include <chrono>

namespace vmsec::migration {
namespace {

// Ever slower: each attempt that the policy refuses is in the audit log.
constexpr auto kFirstPause = std::chrono::milliseconds(100);
constexpr auto kLongestPause = std::chrono::milliseconds(30'000);

}  // namespace

LeftOver::~LeftOver() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void LeftOver::begin(const std::vector<OwnershipRecord>& records) {
  for (const OwnershipRecord& record : records) {
    const bool undecided = state_of(record.phase) == MigrationState::in_doubt;
    if (undecided && record.phase != Phase::started) not_held_.push_back(record);
    if (undecided && record.side == Side::source) not_decided_.push_back(record);
    if (state_of(record.phase) == MigrationState::lost) not_let_go_.push_back(record);
  }
  if (!step()) thread_ = std::thread(&LeftOver::run, this);
}

void LeftOver::run() {
  for (auto pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, pause, [&] { return stopping_; })) return;
    }
    if (step()) return;
  }
}

// Held first: nobody resumes a guest by hand between the two.
bool LeftOver::step() {
  std::erase_if(not_held_, [&](const OwnershipRecord& record) { return resolver_.hold_undecided(record); });
  std::erase_if(not_decided_, [&](const OwnershipRecord& record) { return resolver_.decide_at_start(record); });
  std::erase_if(not_let_go_, [&](const OwnershipRecord& record) { return resolver_.let_go_of_lost(record); });
  return not_held_.empty() && not_decided_.empty() && not_let_go_.empty();
}

}  // namespace vmsec::migration
