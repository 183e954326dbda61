// Continuous attestation: every enrolled host again and again.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "clock.hpp"

namespace vmsec::boot {

// At most so many hosts are attested at a time.
inline constexpr std::size_t kAttestedAtOnce = 16;

// When each host is due: its first time is spread over the whole interval, so that many do
// not come at once, and each later time is up to a tenth earlier or later, so that they
// never fall into step and nobody knows when a host will be asked.
class Watch {
 public:
  using Visit = std::function<void(const std::string& host)>;
  using Sweep = std::function<void(SteadyTime now)>;

  // `sweep` is called ten times in an interval. Zero: nothing is ever due.
  Watch(std::chrono::seconds interval, Clock clock, Visit visit, Sweep sweep);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Once in an interval from now on.
  void add(const std::string& host);
  // As soon as may be, and then as the others.
  void add_now(const std::string& host);
  // In threads of its own, no more than there are hosts.
  void start();
  void stop();  // waits for who is being attested

  // What a thread does, in this one: visits what is due by the clock. How many that were.
  std::size_t run_due();
  [[nodiscard]] std::optional<SteadyTime> next_due() const;
  [[nodiscard]] std::size_t threads() const;

 private:
  using Lock = std::unique_lock<std::mutex>;
  void put(Lock& lock, const std::string& host, SteadyTime when);
  void visit_first(Lock& lock);
  void sweep_if_due(Lock& lock);
  [[nodiscard]] bool is_due() const;
  void run();

  const std::chrono::seconds interval_;
  const Clock clock_;
  const Visit visit_;
  const Sweep sweep_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool started_ = false;
  bool stopping_ = false;
  std::size_t hosts_ = 0;
  SteadyTime next_sweep_;
  std::multimap<SteadyTime, std::string> due_;  // without who is just being visited
  std::map<std::string, bool> visited_;         // just now; true: is due again at once
  std::vector<std::thread> threads_;
};

}  // namespace vmsec::boot
