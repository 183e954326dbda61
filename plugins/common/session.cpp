#include "session.hpp"

#include <algorithm>

namespace vmsec::common {
namespace {

constexpr std::size_t kInboxMaximum = 8;

std::string_view name_of(ControlKind kind) {
  static constexpr std::array<std::string_view, 9> kNames = {"unknown", "begin",  "accept", "refuse", "abort",
                                                             "finish",  "loaded", "runs",   "sent"};
  return kNames[std::min<std::size_t>(static_cast<std::size_t>(kind), kNames.size() - 1)];
}

Error not_due(const Control& message) {
  if (message.kind == ControlKind::refuse || message.kind == ControlKind::abort)
    return {Code::cancelled, "the other host called it off: " + message.reason, 0, {}};
  return {
      Code::invalid_argument, "the other host said \"" + std::string(name_of(message.kind)) + "\" out of turn", 0, {}};
}

std::chrono::steady_clock::time_point after(double seconds) {
  return std::chrono::steady_clock::now() + std::chrono::microseconds(static_cast<std::int64_t>(seconds * 1e6));
}

}  // namespace

Session::Session(SessionDomain domain, Uuid migration, MigrationOptions options)
    : domain_(std::move(domain)), migration_(migration), options_(options) {
  progress_.total = domain_.memory;
  progress_.remaining = domain_.memory;
}

void Session::start_engine() {
  engine_ = std::thread([this] { run(); });
}

SessionEvent Session::next(Microseconds wait) {
  constexpr std::uint64_t kLongestSleep = 3600'000'000;
  const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(std::min(wait.value, kLongestSleep));
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, until, [&] { return closing_ || !events_.empty() || phase_ == Phase::ended; });
  if (!events_.empty()) {
    SessionEvent event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  if (last_) return {last_->kind, {}, 0, {}, last_->detail};
  return {};
}

Status Session::decide(const GateDecision& decision) {
  const std::lock_guard lock(mutex_);
  if (phase_ != Phase::gate || decision_)
    return fail(Code::wrong_state, "decide the migration of " + domain_.name + ": it does not wait at its gate");
  decision_ = decision;
  if (decision.proceed) phase_ = Phase::switching;
  changed_.notify_all();
  return {};
}

Status Session::cancel() {
  const std::lock_guard lock(mutex_);
  if (last_ && last_->kind == SessionEventKind::failed) return {};
  if (phase_ == Phase::switching || phase_ == Phase::ended)
    return fail(Code::wrong_state, "cancel the migration of " + domain_.name + ": the switch-over is decided");
  cancelled_ = true;
  changed_.notify_all();
  break_data();
  return {};
}

TransferProgress Session::progress() {
  const std::lock_guard lock(mutex_);
  return progress_;
}

bool Session::ended() {
  const std::lock_guard lock(mutex_);
  return phase_ == Phase::ended;
}

Result<ChannelEnd> Session::open(const OpenChannel&) {
  return fail(Code::wrong_state, "open a channel for " + domain_.name + ": the source opens its channels itself");
}

void Session::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    changed_.notify_all();
    if (control_) control_->break_off();
    break_data();
  }
  const std::lock_guard joining(joining_);
  if (engine_.joinable()) engine_.join();
  if (control_reader_.joinable()) control_reader_.join();
}

void Session::start_control(std::unique_ptr<Stream> control) {
  control_ = std::move(control);
  control_reader_ = std::thread([this] { read_control(); });
}

void Session::read_control() {
  while (true) {
    auto message = control_->receive_control();
    const std::lock_guard lock(mutex_);
    if (message && inbox_.size() < kInboxMaximum) {
      inbox_.push_back(std::move(*message));
    } else {
      control_end_ = message ? Error{Code::invalid_argument, "the other host says too much", 0, {}} : message.error();
    }
    // Whoever sends memory to a host that does not take it is woken.
    if (phase_ != Phase::switching && !inbox_.empty() && inbox_.back().kind == ControlKind::refuse) break_data();
    if (phase_ != Phase::switching && control_end_) break_data();
    changed_.notify_all();
    if (control_end_) return;
  }
}

Status Session::await_control() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return has_control() || !called_off(); });
  return called_off();
}

Status Session::send(const Control& message) {
  Stream* control = nullptr;
  {
    const std::lock_guard lock(mutex_);
    control = control_.get();
  }
  if (control == nullptr) return fail(Code::wrong_state, "the control channel is not open");
  return control->send(message);
}

Status Session::called_off() const {
  if (cancelled_) return fail(Code::cancelled, "it was cancelled");
  if (closing_) return fail(Code::cancelled, "its session was closed");
  if (data_error_) return fail(*data_error_);
  return {};
}

Status Session::trouble_now() const {
  VMSEC_CHECK(called_off());
  if (!inbox_.empty()) return fail(not_due(inbox_.front()));
  if (control_end_) return fail(*control_end_);
  return {};
}

Status Session::trouble() {
  const std::lock_guard lock(mutex_);
  return trouble_now();
}

Result<Control> Session::receive() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !inbox_.empty() || control_end_ || !called_off(); });
  if (!inbox_.empty()) {
    Control message = std::move(inbox_.front());
    inbox_.pop_front();
    return message;
  }
  VMSEC_CHECK(called_off());
  return fail(*control_end_);
}

void Session::wait(const std::function<bool()>& done, double most) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, after(most), [&] { return done() || !trouble_now(); });
}

bool Session::wait_back(const std::function<bool()>& done, double most) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, after(most), done);
}

Status Session::pass_gate() {
  std::unique_lock lock(mutex_);
  phase_ = Phase::gate;
  events_.push_back({.kind = SessionEventKind::gate});
  changed_.notify_all();
  changed_.wait(lock, [&] { return decision_ || !trouble_now(); });
  VMSEC_CHECK(trouble_now());
  if (!decision_->proceed) return fail(Code::cancelled, "it was refused at the gate: " + decision_->reason);
  return {};
}

bool Session::runs() {
  const std::lock_guard lock(mutex_);
  return decision_ && decision_->proceed && decision_->runs;
}

void Session::fail_data(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (!data_error_) data_error_ = error;
  changed_.notify_all();
}

void Session::push(SessionEvent event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(std::move(event));
  changed_.notify_all();
}

// The module's pumps see the channels end.
void Session::end(SessionEventKind kind, std::string detail) {
  const std::lock_guard lock(mutex_);
  phase_ = Phase::ended;
  // Channels that nobody took, and a gate that is no more, are not told.
  events_.clear();
  last_.emplace(kind, ChannelKind::unknown, 0, Fd(), std::move(detail));
  if (control_) control_->break_off();
  break_data();
  changed_.notify_all();
}

}  // namespace vmsec::common
