// A migration for people: the line while it runs, the report when it has ended.
#pragma once

#include <chrono>
#include <string>

#include "exit.hpp"
#include "vmsec/service/migrator.hpp"

namespace vmsec::cli {

inline bool has_ended(MigrationState state) {
  return state == MigrationState::completed || state == MigrationState::failed || state == MigrationState::in_doubt;
}

// Turns one status after another into a line: bytes, rate, dirty rate, time left.
class ProgressMeter {
 public:
  using Clock = std::chrono::steady_clock;
  std::string line(const MigrationStatus& status, Clock::time_point now);

 private:
  Clock::time_point last_time_;
  std::uint64_t last_bytes_ = 0;
  double rate_ = 0;  // bytes a second, smoothed
};

// Every field of the status, aligned.
void print_report(const MigrationStatus& status);
void print_migrations(const MigrationList& list);

// `completed` is 0; in doubt 4; a failure is its cause's.
Exit exit_of(const MigrationStatus& status);

}  // namespace vmsec::cli
