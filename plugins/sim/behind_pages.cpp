#include "behind_pages.hpp"

#include <bit>
#include <utility>

namespace vmsec::sim {

BehindPages::BehindPages(std::size_t pages) : bits_((pages + 63) / 64), asked_((pages + 63) / 64) {}

void BehindPages::begin(const std::vector<std::uint64_t>& bits, Ask ask) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < bits_.size(); ++i) {
    bits_[i] = bits[i];
    count += static_cast<std::size_t>(std::popcount(bits[i]));
  }
  left_ = count;
  ask_ = std::move(ask);
  begun_ = true;
}

bool BehindPages::contains(std::size_t page) const {
  return begun_.load() && (bits_[page / 64].load() & bit_of(page)) != 0;
}

bool BehindPages::await(std::size_t page) {
  if (!contains(page)) return true;
  {
    const std::lock_guard lock(mutex_);
    if (gone_) return false;
  }
  if ((asked_[page / 64].fetch_or(bit_of(page)) & bit_of(page)) == 0) ask_(page);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return gone_ || !contains(page); });
  return !contains(page);
}

void BehindPages::arrived(std::size_t page) {
  if ((bits_[page / 64].fetch_and(~bit_of(page)) & bit_of(page)) == 0) return;
  --left_;
  // Whoever has looked, and does not wait yet, is not missed.
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void BehindPages::give_up() {
  const std::lock_guard lock(mutex_);
  gone_ = true;
  changed_.notify_all();
}

}  // namespace vmsec::sim
