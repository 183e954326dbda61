#include "host/refused_calls.hpp"

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

RefusedCalls::RefusedCalls(Write write, const RefusedCallLimits& limits, Clock clock)
    : write_(std::move(write)), limits_(limits), clock_(std::move(clock)) {}

RefusedCalls::~RefusedCalls() {
  for (const auto& [who, caller] : callers_)
    if (caller.counted > 0) write_(who, {caller.action, Outcome::refused, {}, {}, text_of(caller)});
}

bool RefusedCalls::is_written(Caller& caller, const std::string& what, const Uuid& domain, Time now) {
  const std::pair kind(what, domain);
  if (!caller.seen.contains(kind) && caller.seen.size() < limits_.kinds) {
    caller.seen.insert(kind);
    return true;
  }
  const auto pauses = static_cast<std::uint64_t>((now - caller.filled) / limits_.pause);
  caller.left = static_cast<std::uint32_t>(std::min<std::uint64_t>(limits_.burst, caller.left + pauses));
  caller.filled += pauses * limits_.pause;
  if (caller.left == 0) return false;
  --caller.left;
  return true;
}

void RefusedCalls::count(Caller& caller, const std::string& what, const std::string& action) {
  const bool known = caller.counts.contains(what) || caller.counts.size() < limits_.counted_kinds;
  ++caller.counts[known ? what : kOthers];
  ++caller.counted;
  caller.action = action;
}

std::string RefusedCalls::text_of(const Caller& caller) {
  std::string text = std::to_string(caller.counted) + " more refused call" + (caller.counted == 1 ? " was" : "s were") +
                     " only counted: ";
  bool first = true;
  for (const auto& [what, count] : caller.counts) {
    text += (first ? "" : ", ") + what + " " + std::to_string(count);
    first = false;
  }
  return text;
}

void RefusedCalls::clear(Caller& caller) {
  caller.counts.clear();
  caller.counted = 0;
}

void RefusedCalls::tell(const std::string& who, const std::string& what, const AuditEntry& entry) {
  std::optional<AuditEntry> written;
  std::string place = who;
  {
    const std::lock_guard lock(mutex_);
    if (!callers_.contains(who) && callers_.size() >= limits_.callers) place = kOthers;
    const Time now = clock_();
    Caller& caller = callers_.try_emplace(place, Caller{{}, limits_.burst, now, {}, {}, 0}).first->second;
    if (is_written(caller, what, entry.domain, now)) {
      written = entry;
      if (caller.counted > 0) written->detail += " (before it, " + text_of(caller) + ")";
      clear(caller);
    } else {
      count(caller, what, entry.action);
      // Not cleared: a flood is told once for each tenfold.
      if (is_milestone(caller.counted))
        written = AuditEntry{entry.action, Outcome::refused, {}, {}, text_of(caller) + ", and it goes on"};
    }
  }
  if (written) write_(who, *written);
}

}  // namespace vmsec::host
