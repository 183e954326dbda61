// What operators see of each migration.
#pragma once

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "ledger.hpp"
#include "stream.hpp"

namespace vmsec::migration {

// One migration's status. Any thread.
class Board {
 public:
  explicit Board(MigrationStatus status) : began_(Clock::now()), status_(std::move(status)) {}

  template <class Change>
  void update(Change&& change) {
    const std::lock_guard lock(mutex_);
    change(status_);
    changed_.notify_all();
  }
  // Sets the totals of the streams and the time since it began.
  void measure(const StreamTotals& totals, std::uint32_t streams);
  // No session is behind it any more.
  void end(MigrationState state, const std::optional<Error>& cause);
  // A session is behind it again.
  void reopen();
  // What a record says of a migration whose session is gone.
  void settle(const OwnershipRecord& record);

  [[nodiscard]] MigrationStatus status() const;
  // Waits until it has ended, for no longer than `wait`.
  MigrationStatus wait(Microseconds wait);
  [[nodiscard]] bool ended() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Clock::time_point began_;
  bool ended_ = false;
  MigrationStatus status_;
};

// All of them: those under way and in doubt, and the last 100 that ended. Any thread.
class Boards {
 public:
  static constexpr std::size_t kEndedKept = 100;

  // One without a beginning begins now.
  std::shared_ptr<Board> add(MigrationStatus status);
  std::shared_ptr<Board> add(const OwnershipRecord& record);
  [[nodiscard]] std::shared_ptr<Board> find(const Uuid& migration) const;
  [[nodiscard]] std::vector<MigrationStatus> list() const;

 private:
  mutable std::mutex mutex_;
  std::list<std::shared_ptr<Board>> boards_;  // oldest first
};

}  // namespace vmsec::migration
