// Refusals in the audit log, few enough: whoever is refused may not fill the disk
// that the acts' records need.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "vmsec/export.hpp"
#include "vmsec/service/journal.hpp"

namespace vmsec::host {

struct RefusalLimits {
  // So many at once, then one for each pause; those between are counted, and the
  // next record says how many they were.
  std::uint32_t of_one = 16;  // address or host
  std::chrono::seconds pause_of_one{60};
  std::uint32_t of_all = 64;
  std::chrono::seconds pause_of_all{10};
  std::size_t remembered = 1024;  // of addresses and hosts; beyond that they share one place
};

// Any thread.
class VMSEC_EXPORT Refusals {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Clock = std::function<Time()>;
  using Write = std::function<void(const AuditEntry&)>;
  explicit Refusals(Write write, const RefusalLimits& limits = {}, Clock clock = std::chrono::steady_clock::now);
  ~Refusals();  // what was counted only is written
  Refusals(const Refusals&) = delete;
  Refusals& operator=(const Refusals&) = delete;

  // `who`: an address without its port, or a host's name.
  void tell(const std::string& who, AuditEntry entry);

 private:
  // Tokens that come back with time.
  struct Bucket {
    std::uint32_t left;
    Time filled;
    bool take(Time now, std::uint32_t most, std::chrono::seconds pause);
  };
  bool may_write(const std::string& who, Time now);
  void forget_idle(Time now);

  const Write write_;
  const RefusalLimits limits_;
  const Clock clock_;
  std::mutex mutex_;
  Bucket all_;
  std::map<std::string, Bucket> each_;
  std::uint64_t counted_ = 0;  // since the last record
};

}  // namespace vmsec::host
