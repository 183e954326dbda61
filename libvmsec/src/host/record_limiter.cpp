#include "host/record_limiter.hpp"

#include <algorithm>
#include <optional>

namespace vmsec::host {
namespace {

constexpr const char* kOthers = "others";

// 100, 1000, 10000, ...
bool is_milestone(std::uint64_t count) {
  if (count < 100) return false;
  while (count % 10 == 0) count /= 10;
  return count == 1;
}

}  // namespace

RecordLimiter::RecordLimiter(Write write, RecordLimits limits, Clock clock)
    : write_(std::move(write)),
      limits_(std::move(limits)),
      clock_(std::move(clock)),
      all_strangers_{limits_.of_strangers, clock_()} {}

RecordLimiter::~RecordLimiter() {
  for (const Callers* callers : {&known_, &strangers_})
    for (const auto& [name, caller] : *callers)
      if (caller.counted > 0) write_(caller.module, summary_of(caller, ""));
}

bool RecordLimiter::Bucket::take(Time now, std::uint32_t most, std::uint32_t refill, std::chrono::milliseconds pause) {
  const auto pauses = static_cast<std::uint64_t>((now - filled) / pause);
  left = static_cast<std::uint32_t>(std::min<std::uint64_t>(most, left + pauses * refill));
  filled += pauses * pause;
  if (left == 0) return false;
  --left;
  return true;
}

// Under the lock. Whoever is known is never put beside a stranger.
RecordLimiter::Caller& RecordLimiter::place_of(const RecordSource& source, Time now) {
  const bool known = source.standing == Standing::known;
  Callers& callers = known ? known_ : strangers_;
  const std::size_t most = known ? limits_.callers : limits_.strangers;
  const bool room = callers.contains(source.caller) || callers.size() < most;
  const Caller fresh{{limits_.burst, now}, source.module, {}, {}, {}, 0};
  return callers.try_emplace(room ? source.caller : kOthers, fresh).first->second;
}

// Under the lock. Whose count would be lost is told of.
void RecordLimiter::forget_idle(Time now, std::vector<std::pair<std::string, AuditEntry>>& told) {
  const auto idle = limits_.pause * std::max<std::uint32_t>(limits_.burst / std::max(limits_.refill, 1U), 1);
  std::erase_if(strangers_, [&](const auto& each) {
    const Caller& caller = each.second;
    if (now - caller.repeats.filled < idle) return false;
    if (caller.counted > 0) told.emplace_back(caller.module, summary_of(caller, ""));
    return true;
  });
}

bool RecordLimiter::may_write(Caller& caller, const RecordSource& source, Time now) {
  if (source.standing == Standing::known && caller.seen.size() < limits_.kinds &&
      caller.seen.emplace(source.kind, source.domain).second)
    return true;
  if (!caller.repeats.take(now, limits_.burst, limits_.refill, limits_.pause)) return false;
  return source.standing == Standing::known ||
         all_strangers_.take(now, limits_.of_strangers, 1, limits_.pause_of_strangers);
}

void RecordLimiter::count(Caller& caller, const RecordSource& source, const std::string& action) {
  const bool known = caller.counts.contains(source.kind) || caller.counts.size() < limits_.counted_kinds;
  ++caller.counts[known ? source.kind : kOthers];
  ++caller.counted;
  caller.action = action;
}

std::string RecordLimiter::text_of(const Caller& caller) const {
  std::string text = std::to_string(caller.counted) + " more " + limits_.what +
                     (caller.counted == 1 ? " was" : "s were") + " only counted: ";
  bool first = true;
  for (const auto& [kind, count] : caller.counts) {
    text += (first ? "" : ", ") + kind + " " + std::to_string(count);
    first = false;
  }
  return text;
}

AuditEntry RecordLimiter::summary_of(const Caller& caller, const std::string& end) const {
  return {caller.action, Outcome::refused, {}, {}, text_of(caller) + end};
}

RecordLimiter::Ruling RecordLimiter::admit(const RecordSource& source, const std::string& action) {
  Ruling ruling;
  std::vector<std::pair<std::string, AuditEntry>> told;
  {
    const std::lock_guard lock(mutex_);
    const Time now = clock_();
    if (source.standing == Standing::stranger && strangers_.size() >= limits_.strangers) forget_idle(now, told);
    Caller& caller = place_of(source, now);
    ruling.write = may_write(caller, source, now);
    if (ruling.write) {
      if (caller.counted > 0) ruling.before = text_of(caller);
      caller.counts.clear();
      caller.counted = 0;
    } else {
      count(caller, source, action);
      ruling.counted = caller.counted;
      // Not cleared: a flood is told once for each tenfold.
      if (is_milestone(caller.counted)) told.emplace_back(caller.module, summary_of(caller, ", and it goes on"));
    }
  }
  for (const auto& [module, entry] : told) write_(module, entry);
  return ruling;
}

void RecordLimiter::tell(const RecordSource& source, AuditEntry entry) {
  const Ruling ruling = admit(source, entry.action);
  if (!ruling.write) return;
  if (!ruling.before.empty()) entry.detail += " (before it, " + ruling.before + ")";
  write_(source.module, entry);
}

}  // namespace vmsec::host
