#include "host/refusals.hpp"

#include <algorithm>

namespace vmsec::host {
namespace {

std::string counted_text(std::uint64_t count) {
  return std::to_string(count) + (count == 1 ? " refusal before was" : " refusals before were") + " only counted";
}

}  // namespace

Refusals::Refusals(Write write, const RefusalLimits& limits, Clock clock)
    : write_(std::move(write)), limits_(limits), clock_(std::move(clock)), all_{limits.of_all, clock_()} {}

Refusals::~Refusals() {
  if (counted_ > 0) write_({"peer.refuse", Outcome::refused, {}, {}, counted_text(counted_)});
}

bool Refusals::Bucket::take(Time now, std::uint32_t most, std::chrono::seconds pause) {
  const auto pauses = static_cast<std::uint64_t>((now - filled) / pause);
  left = static_cast<std::uint32_t>(std::min<std::uint64_t>(most, left + pauses));
  filled += pauses * pause;
  if (left == 0) return false;
  --left;
  return true;
}

void Refusals::forget_idle(Time now) {
  const auto idle = limits_.pause_of_one * limits_.of_one;
  std::erase_if(each_, [&](const auto& entry) { return now - entry.second.filled >= idle; });
}

bool Refusals::may_write(const std::string& who, Time now) {
  if (!each_.contains(who) && each_.size() >= limits_.remembered) forget_idle(now);
  // A crowd of strangers shares one place.
  const std::string place = each_.contains(who) || each_.size() < limits_.remembered ? who : std::string();
  auto& one = each_.try_emplace(place, Bucket{limits_.of_one, now}).first->second;
  return one.take(now, limits_.of_one, limits_.pause_of_one) && all_.take(now, limits_.of_all, limits_.pause_of_all);
}

void Refusals::tell(const std::string& who, AuditEntry entry) {
  {
    const std::lock_guard lock(mutex_);
    if (!may_write(who, clock_())) {
      ++counted_;
      return;
    }
    if (counted_ > 0) entry.detail += " (" + counted_text(counted_) + ")";
    counted_ = 0;
  }
  write_(entry);
}

}  // namespace vmsec::host
