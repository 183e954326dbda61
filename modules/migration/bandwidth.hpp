// The bandwidth that a migration's streams share. It can be changed while they send.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "token_bucket.hpp"
#include "vmsec/result.hpp"
#include "vmsec/service/migrator.hpp"

namespace vmsec::migration {

inline constexpr BytesPerSecond kLeastBandwidth{std::uint64_t{64} << 10};
inline constexpr BytesPerSecond kMostBandwidth{std::uint64_t{1} << 40};

// `invalid_argument` for a bandwidth by which nothing would move, or that no network has. kUnlimitedBandwidth is good.
Status check_bandwidth(BytesPerSecond bandwidth);
// "1 Gbit/s", "unlimited"
std::string bandwidth_text(BytesPerSecond bandwidth);

// Any thread. Where it is unlimited nobody takes a lock.
class Bandwidth {
 public:
  // As check_bandwidth() allows. Whoever waits goes on under the new one at once.
  void set(BytesPerSecond bandwidth);
  [[nodiscard]] BytesPerSecond get() const { return {rate_}; }

  // How much to read for one admit(), `most` at most: little where little goes, so that it goes evenly.
  [[nodiscard]] std::size_t piece(std::size_t most) const;
  // Waits until so many bytes may go; false: `stopping` came true before that, and wake() was called.
  bool admit(std::size_t bytes, const std::atomic<bool>& stopping);
  void wake();

 private:
  std::atomic<std::uint64_t> rate_ = kUnlimitedBandwidth.value;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<TokenBucket> bucket_;  // none: unlimited
};

}  // namespace vmsec::migration
