// Refused calls in the audit log, few enough: who is refused in a loop may not fill
// the disk, and may not hide one refusal behind a thousand others.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "vmsec/export.hpp"
#include "vmsec/service/journal.hpp"

namespace vmsec::host {

struct RefusedCallLimits {
  std::size_t kinds = 64;    // of each caller: the first of each is written whatever came before
  std::uint32_t burst = 32;  // of those that repeat; then one for each pause
  std::chrono::seconds pause{60};
  std::size_t counted_kinds = 16;  // that a count tells apart
  std::size_t callers = 256;       // beyond that they share one place
};

// Any thread. What is only counted is told by the caller's next record, by a record
// of its own at 100, at 1000 and so on, and at the end.
class VMSEC_EXPORT RefusedCalls {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Clock = std::function<Time()>;
  using Write = std::function<void(const std::string& who, const AuditEntry&)>;
  explicit RefusedCalls(Write write, const RefusedCallLimits& limits = {},
                        Clock clock = std::chrono::steady_clock::now);
  ~RefusedCalls();
  RefusedCalls(const RefusedCalls&) = delete;
  RefusedCalls& operator=(const RefusedCalls&) = delete;

  // `who`: a module's name. `what`: "vmsec.MemoryAccess.Read".
  void tell(const std::string& who, const std::string& what, const AuditEntry& entry);

 private:
  struct Caller {
    std::set<std::pair<std::string, Uuid>> seen;
    std::uint32_t left;
    Time filled;
    std::string action;  // of what was counted
    std::map<std::string, std::uint64_t> counts;
    std::uint64_t counted = 0;
  };
  bool is_written(Caller& caller, const std::string& what, const Uuid& domain, Time now);
  void count(Caller& caller, const std::string& what, const std::string& action);
  static std::string text_of(const Caller& caller);
  static void clear(Caller& caller);

  const Write write_;
  const RefusedCallLimits limits_;
  const Clock clock_;
  std::mutex mutex_;
  std::map<std::string, Caller> callers_;
};

}  // namespace vmsec::host
