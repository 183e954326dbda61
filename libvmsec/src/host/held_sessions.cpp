#include "host/held_sessions.hpp"

#include <chrono>

namespace vmsec::host {
namespace {

// How long a session may take to say how it ended.
constexpr auto kLastWords = std::chrono::seconds(30);
constexpr Microseconds kWait{200'000};

constexpr std::uint32_t kStart = number_of<Migration>("Start");
constexpr std::uint32_t kPrepare = number_of<Migration>("Prepare");
constexpr std::uint32_t kNext = number_of<Migration>("Next");
constexpr std::uint32_t kDecide = number_of<Migration>("Decide");
constexpr std::uint32_t kCancel = number_of<Migration>("Cancel");
constexpr std::uint32_t kClose = number_of<Migration>("Close");
constexpr std::uint32_t kActivate = number_of<Migration>("Activate");
constexpr std::uint32_t kHold = number_of<Migration>("Hold");

template <class Request>
Result<Packet> call(Capabilities& capabilities, std::uint32_t method, const Request& request) {
  return capabilities.call(Methods<Migration>::kName, method, wire::pack(request), Caller::host());
}

bool is_last(SessionEventKind kind) {
  return kind == SessionEventKind::done || kind == SessionEventKind::failed || kind == SessionEventKind::doubt;
}

// Its data had descriptors in the process that is gone: it ends by itself, or has ended.
// A gate that is still to come is refused. What channels it opens is closed at once.
void wait_for_end(const SessionRef& session, Capabilities& capabilities) {
  const auto until = std::chrono::steady_clock::now() + kLastWords;
  while (std::chrono::steady_clock::now() < until) {
    auto answer = call(capabilities, kNext, NextSessionEvent{session.migration, session.domain, kWait});
    if (!answer) return;
    const auto event = wire::unpack<SessionEvent>(std::move(*answer));
    if (!event || is_last(event->kind)) return;
    if (event->kind == SessionEventKind::gate)
      std::ignore = call(capabilities, kDecide,
                         GateDecision{session.migration, session.domain, false, "its module's process ended"});
  }
}

}  // namespace

HeldSessions::Step HeldSessions::read(std::uint32_t method, std::string_view request) {
  using Kind = Step::Kind;
  if (method == kDecide) {
    const auto decision = wire::decode<GateDecision>(request);
    if (!decision || !decision->proceed) return {};
    return {Kind::proceeded, {decision->migration, decision->domain}};
  }
  if (method != kStart && method != kPrepare && method != kNext && method != kActivate && method != kClose) return {};
  // Each begins with migration and domain, as a SessionRef does.
  const auto session = wire::decode<SessionRef>(request);
  if (!session) return {};
  switch (method) {
    case kStart:
      return {Kind::began_source, *session};
    case kPrepare:
      return {Kind::began_destination, *session};
    case kActivate:
      return {Kind::activated, *session};
    case kClose:
      return {Kind::closed, *session};
    default:
      return {Kind::asked, *session};
  }
}

void HeldSessions::note(const Step& step, const Result<Packet>& answer) {
  using Kind = Step::Kind;
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(step.session.migration);
  // Told to proceed, it may have, whatever the answer was.
  if (step.kind == Kind::proceeded && found != held_.end()) found->second.proceeded = true;
  if (!answer) return;
  // An event that brings a descriptor does not decode here, and is not the last one.
  if (step.kind == Kind::asked && found != held_.end())
    if (const auto event = wire::decode<SessionEvent>(answer->bytes); event && is_last(event->kind))
      found->second.over = true;
  if (step.kind == Kind::activated && found != held_.end()) found->second.activated = true;
  if (step.kind == Kind::closed) held_.erase(step.session.migration);
  if (step.kind == Kind::began_source || step.kind == Kind::began_destination)
    held_[step.session.migration] = Held{step.session, step.kind == Kind::began_destination, false, false};
}

void HeldSessions::end(const Held& held, Capabilities& capabilities) {
  if (!held.proceeded && !held.over) std::ignore = call(capabilities, kCancel, held.session);
  if (!held.over) wait_for_end(held.session, capabilities);
  // Nobody resumes by hand what the next instance must decide about. One that was activated is decided: its record
  // may be final, and then nobody would let go of it again.
  if (held.destination && held.proceeded && !held.activated) std::ignore = call(capabilities, kHold, held.session);
  std::ignore = call(capabilities, kClose, held.session);
}

void HeldSessions::end_all(Capabilities& capabilities, const std::function<Status(const AuditEntry&)>& record) {
  std::map<Uuid, Held> held;
  {
    const std::lock_guard lock(mutex_);
    held = std::exchange(held_, {});
  }
  for (const auto& [migration, each] : held) {
    std::ignore = record({"session.abandon",
                          Outcome::failed,
                          each.session.domain,
                          {},
                          "migration " + migration.text() + ": its module's process ended" +
                              (each.proceeded ? " when it might have moved" : "; cancelled")});
    end(each, capabilities);
  }
}

}  // namespace vmsec::host
