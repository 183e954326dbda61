#include "verdicts.hpp"

#include <algorithm>
#include <utility>

#include "enrolments.hpp"

namespace vmsec::boot {
namespace {

constexpr std::size_t kKeptChanges = 1000;
constexpr std::uint32_t kUsualChanges = 100;
constexpr std::size_t kLongestCause = 512;
// Whoever waits holds a line of the agent, and its end waits for that.
constexpr Microseconds kLongestWait{10'000'000};

Outcome outcome_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::trusted:
      return Outcome::succeeded;
    case Verdict::untrusted:
    case Verdict::stale:
      return Outcome::refused;
    case Verdict::unreachable:
    case Verdict::unknown:
      return Outcome::failed;
  }
  return Outcome::failed;
}

std::uint64_t seconds_between(SteadyTime from, SteadyTime to) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(to - from).count();
  return seconds < 0 ? 0 : static_cast<std::uint64_t>(seconds);
}

}  // namespace

void Verdicts::admit(const std::string& host) {
  const std::lock_guard lock(mutex_);
  Known fresh;
  fresh.cause = "not attested yet";
  fresh.since = now();
  hosts_.try_emplace(host, std::move(fresh));
}

Verdicts::Change Verdicts::change(const std::string& host, Known& known, Verdict verdict, const std::string& cause) {
  known.cause = verdict == Verdict::trusted ? std::string() : cause.substr(0, kLongestCause);
  if (known.verdict == verdict) return std::nullopt;
  const AttestationChange made{++last_, host, known.verdict, verdict, known.cause, now()};
  known.verdict = verdict;
  known.since = made.time;
  changes_.push_back(made);
  if (changes_.size() > kKeptChanges) changes_.pop_front();
  changed_.notify_all();
  return made;
}

// A change stands whether or not it could be written down.
void Verdicts::audit(const Change& change) {
  if (!change) return;
  std::string detail = std::string(to_string(change->before)) + " to " + std::string(to_string(change->after));
  if (!change->cause.empty()) detail += ": " + change->cause;
  const AuditEntry entry{"measured_boot.verdict", outcome_of(change->after), {}, change->host, std::move(detail)};
  if (const auto written = journal_.audit(entry); !written)
    static_cast<void>(journal_.log({LogLevel::error, "the change of the verdict on host " + change->host +
                                                         " could not be audited: " + written.error().message}));
}

void Verdicts::note(const std::string& host, const Finding& finding) {
  Change made;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = hosts_.find(host);
    if (found == hosts_.end() || found->second.revoked) return;
    Known& known = found->second;
    if (finding.asked < known.asked) return;
    first = std::exchange(known.fresh, false);
    known.asked = finding.asked;
    known.checked = now();
    made = change(host, known, finding.verdict, finding.cause);
  }
  // That all is well after a start is what everybody expects: no record for each of thousands.
  if (!first || finding.verdict != Verdict::trusted) audit(made);
}

void Verdicts::revoke(const std::string& host, const std::string& cause) {
  Change made;
  {
    const std::lock_guard lock(mutex_);
    Known& known = hosts_[host];
    known.revoked = true;
    known.fresh = false;
    made = change(host, known, Verdict::untrusted, cause);
  }
  audit(made);
}

void Verdicts::forget(const std::string& host, const std::string& cause, SteadyTime now) {
  Change made;
  {
    const std::lock_guard lock(mutex_);
    Known& known = hosts_[host];
    known.revoked = known.fresh = false;
    known.checked = {};
    known.asked = now;
    made = change(host, known, Verdict::unknown, cause);
  }
  audit(made);
}

void Verdicts::age(SteadyTime now, std::chrono::seconds limit) {
  std::vector<Change> made;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [host, known] : hosts_)
      if (known.verdict == Verdict::trusted && now - known.asked > limit)
        made.push_back(change(host, known, Verdict::stale,
                              "last attested " + std::to_string(seconds_between(known.asked, now)) +
                                  " s ago, at most " + std::to_string(limit.count()) + " s are allowed"));
  }
  for (const Change& each : made) audit(each);
}

HostVerdict Verdicts::answer(const std::string& host, const Known& known, SteadyTime now) {
  HostVerdict out{host, known.verdict, known.cause, known.since, known.checked, 0, known.revoked};
  if (known.checked.value != 0) out.age = seconds_between(known.asked, now);
  return out;
}

std::optional<HostVerdict> Verdicts::get(const std::string& host, SteadyTime now) const {
  const std::lock_guard lock(mutex_);
  const auto found = hosts_.find(host);
  if (found == hosts_.end()) return std::nullopt;
  return answer(host, found->second, now);
}

std::vector<HostVerdict> Verdicts::list(SteadyTime now) const {
  const std::lock_guard lock(mutex_);
  std::vector<HostVerdict> out;
  out.reserve(hosts_.size());
  for (const auto& [host, known] : hosts_) out.push_back(answer(host, known, now));
  return out;
}

std::uint64_t Verdicts::last() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

AttestationChanges Verdicts::next(const NextVerdicts& request) {
  const auto wait = std::min(request.wait.value, kLongestWait.value);
  const std::size_t most = std::min<std::size_t>(request.maximum == 0 ? kUsualChanges : request.maximum, kKeptChanges);
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::microseconds(wait), [&] { return last_ > request.after; });
  AttestationChanges out;
  out.last = last_;
  const std::uint64_t dropped = last_ - changes_.size();  // sequences 1 to this are no longer kept
  if (request.after < dropped) out.missed = dropped - request.after;
  for (const auto& each : changes_) {
    if (out.changes.size() == most) break;
    if (each.sequence > request.after) out.changes.push_back(each);
  }
  return out;
}

}  // namespace vmsec::boot
