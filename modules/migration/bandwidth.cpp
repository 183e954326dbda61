#include "bandwidth.hpp"

#include "vmsec/units.hpp"

namespace vmsec::migration {
namespace {

constexpr std::size_t kLeastPiece = 4096;
constexpr std::uint64_t kPiecesPerSecond = 20;

}  // namespace

Status check_bandwidth(BytesPerSecond bandwidth) {
  if (bandwidth == kUnlimitedBandwidth) return {};
  if (bandwidth.value >= kLeastBandwidth.value && bandwidth.value <= kMostBandwidth.value) return {};
  return fail(Code::invalid_argument, "bandwidth " + to_text(bandwidth) + " is out of range: want " +
                                          to_text(kLeastBandwidth) + " to " + to_text(kMostBandwidth) +
                                          ", or unlimited");
}

std::string bandwidth_text(BytesPerSecond bandwidth) {
  return bandwidth == kUnlimitedBandwidth ? "unlimited" : to_text(bandwidth);
}

void Bandwidth::set(BytesPerSecond bandwidth) {
  const std::lock_guard lock(mutex_);
  bucket_.reset();
  if (bandwidth != kUnlimitedBandwidth) bucket_.emplace(bandwidth, TokenBucket::Clock::now());
  rate_ = bandwidth.value;
  changed_.notify_all();
}

std::size_t Bandwidth::piece(std::size_t most) const {
  const std::uint64_t rate = rate_;
  if (rate == kUnlimitedBandwidth.value) return most;
  return std::clamp<std::size_t>(rate / kPiecesPerSecond, kLeastPiece, most);
}

bool Bandwidth::admit(std::size_t bytes, const std::atomic<bool>& stopping) {
  if (rate_ == kUnlimitedBandwidth.value) return !stopping;
  std::unique_lock lock(mutex_);
  while (!stopping) {
    if (!bucket_) return true;
    const auto wait = bucket_->take(bytes, TokenBucket::Clock::now());
    if (wait == TokenBucket::Clock::duration::zero()) return true;
    changed_.wait_for(lock, wait);
  }
  return false;
}

void Bandwidth::wake() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

}  // namespace vmsec::migration
