// What hosts' TPMs have counted: a TPM whose counters go back is an older state of
// itself, restored or cloned.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "evidence/quote.hpp"
#include "messages.hpp"
#include "vmsec/service/records.hpp"

namespace vmsec::boot {

// Any thread, at once. Borrows the records.
class Clocks {
 public:
  explicit Clocks(Records& records) : records_(records) {}

  // A genuine quote by the host's key. Answers how often its TPM was reset since the last one;
  // `untrusted`, with both values, where a counter went back. What was seen is on the disk
  // before this answers, but for the clock, which may be a minute behind there.
  Result<std::uint32_t> check(const std::string& host, const TpmPublic& key, const Quote& quote);
  // An operator has enrolled the host anew: whatever it counts next is its first.
  Status forget(const std::string& host);

 private:
  struct Known {
    SeenClock seen;
    std::uint64_t written = 0;  // the clock that is on the disk
  };
  Result<std::optional<Known>> known(const std::string& host, const TpmPublic& key);
  Status keep(const std::string& host, SeenClock seen, const std::optional<Known>& before);

  Records& records_;
  std::mutex mutex_;
  std::unordered_map<std::string, Known> known_;
};

}  // namespace vmsec::boot
