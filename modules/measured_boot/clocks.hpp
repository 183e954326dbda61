// What hosts' TPMs have counted: a TPM whose counters go back is an older state of
// itself, restored or cloned.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "enrolments.hpp"
#include "evidence/judge.hpp"
#include "messages.hpp"
#include "vmsec/service/records.hpp"

namespace vmsec::boot {

// Any thread, at once. Borrows the records.
class Clocks {
 public:
  // Each kind has records of its own.
  explicit Clocks(Records& records, Enrolled kind = Enrolled::host)
      : records_(records), prefix_(kind == Enrolled::guest ? "clock-guest." : "clock.") {}

  // The last that was seen of the host, before it is asked for a quote: two quotes that are under way at once may be
  // verified in either order.
  Result<std::optional<SeenClock>> seen(const std::string& host, const TpmPublic& key);

  // A genuine quote by the host's key, asked for after `before` was seen. Answers how often its TPM was reset since the
  // last one; `untrusted`, with both values, where a counter went back. What was seen is on the disk before this
  // answers, but for the clock, which may be a minute behind there.
  Result<std::uint32_t> check(const std::string& host, const TpmPublic& key, const Quote& quote,
                              const std::optional<SeenClock>& before);
  // The same of evidence that was judged, if its quote is genuine, whatever else was found out: into the report.
  Status judge(const std::string& host, const Evidence& evidence, const TpmPublic& key, const QuoteDemand& demand,
               const std::optional<SeenClock>& before, AttestationReport& report);
  // An operator has enrolled the host anew: whatever it counts next is its first.
  Status forget(const std::string& host);

 private:
  struct Known {
    SeenClock seen;
    std::uint64_t written = 0;  // the clock that is on the disk
  };
  [[nodiscard]] std::string record_of(const std::string& host) const { return prefix_ + host; }
  Result<std::optional<Known>> known(const std::string& host, const TpmPublic& key);
  Status keep(const std::string& host, SeenClock seen, const std::optional<Known>& before);

  Records& records_;
  const std::string prefix_;
  std::mutex mutex_;
  std::unordered_map<std::string, Known> known_;
};

}  // namespace vmsec::boot
