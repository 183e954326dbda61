#include "host/enforcer.hpp"

#include <algorithm>
#include <limits>

#include "host/log.hpp"

namespace vmsec::host {
namespace {

// A state passes; what the caller got wrong does not.
bool may_pass(Code code) { return family(code) == Family::environment || code == Code::wrong_state; }

// Once for each cause, not once for each round.
void tell_once(std::string& told, const std::string& what) {
  if (told != what) write_log(LogLevel::warning, "enforce", what);
  told = what;
}

}  // namespace

Status Enforcer::begin() {
  const auto now = host_.events(std::numeric_limits<std::uint64_t>::max());
  if (!now) return fail(now.error().in("host.enforce"));
  seen_ = now->last;
  for (const auto& module : host_.modules()) modules_[module.name] = module;
  rules_ = host_.rules();
  return {};
}

void Enforcer::run() {
  thread_ = std::thread([this] {
    while (!stopping_) step();
  });
}

void Enforcer::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void Enforcer::step() {
  look_at_modules();
  look_at_rules();
  if (all_) mark_all();
  mark_retries();
  enforce();
  if (!stopping_) listen();
}

void Enforcer::listen() {
  const auto heard = host_.events(seen_);
  if (!heard) return tell_once(blind_, heard.error().message);
  // What was missed may have been anything.
  if (!blind_.empty() || heard->dropped != 0) all_ = true;
  blind_.clear();
  for (const Event& event : heard->events) note(event);
  if (!heard->events.empty()) seen_ = heard->events.back().sequence;
}

// A VM that starts in order to arrive from elsewhere is paused until it resumes; what is paused waits for that.
void Enforcer::note(const Event& event) {
  switch (event.kind) {
    case EventKind::domain_started:
    case EventKind::domain_resumed:
    case EventKind::devices_changed:
      return mark(event.domain);
    case EventKind::backend_restored:
      all_ = true;
      return;
    default:
      return;
  }
}

// A module that begins anew knows nothing of what it was told before.
void Enforcer::look_at_modules() {
  for (const auto& module : host_.modules()) {
    auto& known = modules_[module.name];
    if (module.restarts != known.restarts) all_ = true;
    known = module;
  }
}

void Enforcer::look_at_rules() {
  auto rules = host_.rules();
  if (rules == rules_) return;
  rules_ = std::move(rules);
  all_ = true;
}

void Enforcer::mark_all() {
  const auto found = host_.domains();
  if (!found) return tell_once(unanswered_, found.error().message);
  unanswered_.clear();
  all_ = false;
  for (const auto& domain : *found) mark(domain.domain);
}

void Enforcer::mark(const Uuid& domain) {
  for (const auto& [name, module] : modules_) {
    marked_[domain].insert(name);
    retries_.erase({domain, name});
  }
}

void Enforcer::mark_retries() {
  const auto now = clock_();
  for (const auto& [key, failure] : failures_) {
    if (failure.again > now || marked_[key.first].contains(key.second)) continue;
    marked_[key.first].insert(key.second);
    retries_.insert(key);
  }
}

void Enforcer::enforce() {
  silent_.clear();
  for (const auto& [domain, modules] : std::exchange(marked_, {})) {
    if (stopping_) return;
    enforce(domain, modules);
  }
  retries_.clear();
}

void Enforcer::enforce(const Uuid& domain, const std::set<std::string>& modules) {
  const auto info = host_.domain(domain);
  const bool gone = info ? info->state != DomainState::running : info.error().code == Code::not_found;
  for (const auto& module : modules) {
    if (stopping_) return;
    if (gone)
      failures_.erase({domain, module});  // when it runs again, that is an event
    else if (!info)
      fail_at({.domain = domain, .name = domain.text()}, module, info.error());
    else
      apply(*info, module);
  }
}

// One whose process has ended looks at every VM when it begins again; one that lets a VM wait for its answer to the
// end lets no other one wait in this round.
void Enforcer::apply(const DomainInfo& domain, const std::string& module) {
  if (!modules_[module].running) return;
  if (silent_.contains(module)) return fail_at(domain, module, {Code::unavailable, "module " + module + ": silent"});
  const auto outcome = host_.apply(domain, module);
  if (!outcome) {
    failures_.erase({domain.domain, module});
    return;
  }
  if (outcome->code == Code::unavailable || outcome->code == Code::timeout) silent_.insert(module);
  settle(domain, *outcome);
}

bool Enforcer::is_running(const Uuid& domain) {
  const auto info = host_.domain(domain);
  return info ? info->state == DomainState::running : info.error().code != Code::not_found;
}

void Enforcer::settle(const DomainInfo& domain, const DomainChanges& outcome) {
  const Key key(domain.domain, outcome.module);
  if (outcome.error.empty()) {
    const auto before = failures_.find(key);
    if (before == failures_.end()) return;
    if (before->second.told)
      host_.record(outcome.module, {"policy.enforce", Outcome::succeeded, domain.domain, {}, domain.name});
    failures_.erase(before);
    return;
  }
  // A VM that ended or was paused meanwhile is nobody's fault.
  const bool may_be_gone = outcome.code == Code::not_found || outcome.code == Code::wrong_state;
  if (may_be_gone && !is_running(domain.domain)) {
    failures_.erase(key);
    return;
  }
  fail_at(domain, outcome.module, {outcome.code, outcome.error});
}

void Enforcer::fail_at(const DomainInfo& domain, const std::string& module, const Error& error) {
  const Key key(domain.domain, module);
  auto& failure = failures_[key];
  const bool repeated = failure.code == error.code;
  const bool retried = repeated && retries_.contains(key);
  failure.pause = retried ? std::min<std::chrono::steady_clock::duration>(failure.pause * 2, kLongestRetry) : kRetry;
  failure.again = may_pass(error.code) ? clock_() + failure.pause : Time::max();
  failure.told = failure.told && repeated;
  failure.code = error.code;
  if (failure.told || (may_pass(error.code) && !retried)) return;
  failure.told = true;
  host_.record(module, {"policy.enforce", Outcome::failed, domain.domain, {}, domain.name + ": " + error.message});
}

}  // namespace vmsec::host
