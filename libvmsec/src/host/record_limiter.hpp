// Records that somebody can cause as often as they like (refusals, a module's own), few
// enough: nobody fills the disk that the acts' records need, and nobody hides what
// another one did, or what they did themselves, behind a thousand others.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "vmsec/export.hpp"
#include "vmsec/service/journal.hpp"

namespace vmsec::host {

struct RecordLimits {
  std::string what = "refused call";  // that is only counted
  std::size_t kinds = 1024;           // of each caller: the first of each is written whatever came before
  std::uint32_t burst = 32;           // of those that repeat; then so many for each pause
  std::uint32_t refill = 1;
  std::chrono::milliseconds pause{60'000};
  std::size_t counted_kinds = 16;  // that a count tells apart
  std::size_t callers = 4096;      // who is known; beyond that they share one place
  std::size_t strangers = 1024;    // who is not; likewise, and idle ones are forgotten
  // Of all strangers together: each may be the same one under another name.
  std::uint32_t of_strangers = 64;
  std::chrono::milliseconds pause_of_strangers{10'000};
};

// Known: of a number that this host's configuration bounds (its modules, its policy's
// tenants, hosts with a certificate). A stranger's name is whatever they like.
enum class Standing : std::uint32_t { known, stranger };

struct RecordSource {
  std::string caller;
  Standing standing = Standing::known;
  std::string kind;    // of a number that the caller cannot grow: "vmsec.MemoryAccess.Read"
  Uuid domain;         // likewise: nil for one that this host does not know
  std::string module;  // under whose name it is written
};

// Any thread. What is only counted is told by the caller's next record, by a record of
// its own at 100, at 1000 and so on, and at the end.
class VMSEC_EXPORT RecordLimiter {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Clock = std::function<Time()>;
  using Write = std::function<void(const std::string& module, const AuditEntry& entry)>;
  explicit RecordLimiter(Write write, RecordLimits limits = {}, Clock clock = std::chrono::steady_clock::now);
  ~RecordLimiter();
  RecordLimiter(const RecordLimiter&) = delete;
  RecordLimiter& operator=(const RecordLimiter&) = delete;

  struct Ruling {
    bool write = false;
    std::string before;         // what was only counted since the caller's last record; empty: none was
    std::uint64_t counted = 0;  // with this one, where it is not written
  };
  // Whether a record may be written now; where it may not, it is counted under `action`.
  Ruling admit(const RecordSource& source, const std::string& action);
  // Writes it, if it may be, with what was only counted before it.
  void tell(const RecordSource& source, AuditEntry entry);

 private:
  // Tokens that come back with time.
  struct Bucket {
    std::uint32_t left;
    Time filled;
    bool take(Time now, std::uint32_t most, std::uint32_t refill, std::chrono::milliseconds pause);
  };
  struct Caller {
    Bucket repeats;
    std::string module;
    std::set<std::pair<std::string, Uuid>> seen;
    std::string action;  // of what was counted
    std::map<std::string, std::uint64_t> counts;
    std::uint64_t counted = 0;
  };
  using Callers = std::map<std::string, Caller>;
  Caller& place_of(const RecordSource& source, Time now);
  void forget_idle(Time now, std::vector<std::pair<std::string, AuditEntry>>& told);
  bool may_write(Caller& caller, const RecordSource& source, Time now);
  void count(Caller& caller, const RecordSource& source, const std::string& action);
  [[nodiscard]] AuditEntry summary_of(const Caller& caller, const std::string& end) const;
  [[nodiscard]] std::string text_of(const Caller& caller) const;

  const Write write_;
  const RecordLimits limits_;
  const Clock clock_;
  std::mutex mutex_;
  Callers known_;
  Callers strangers_;
  Bucket all_strangers_;
};

}  // namespace vmsec::host
