// A migration for people: the line while it runs, the report when it has ended.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "exit.hpp"
#include "vmsec/capability/domain_control.hpp"
#include "vmsec/service/migrator.hpp"

namespace vmsec::cli {

inline bool has_ended(MigrationState state) {
  return state == MigrationState::completed || state == MigrationState::failed || state == MigrationState::in_doubt ||
         state == MigrationState::lost;
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

// Where the guest runs: the one thing that nobody should have to work out. `here`: its state on
// this host, where this host has it; it is asked only of a migration that is in doubt or lost.
std::string runs_at(const MigrationStatus& status, std::optional<DomainState> here);

// What is known of it, aligned; what is not known has no line.
void print_report(const MigrationStatus& status, std::optional<DomainState> here = std::nullopt);
void print_migrations(const MigrationList& list);

// `completed` is 0; in doubt 4; a failure is its cause's.
Exit exit_of(const MigrationStatus& status);

// The failure that an operator reads: what was asked for, why it failed, and what to do next.
Failure failure_of(const MigrationStatus& status);

}  // namespace vmsec::cli
