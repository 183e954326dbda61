#include "migration_session.hpp"

#include <sys/eventfd.h>

#include <chrono>
#include <future>

#include "migration_domain.hpp"

namespace vmsec::kvm {

Result<SessionEvent> Session::next(Microseconds wait) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::microseconds(wait.value), [&] { return !events_.empty(); });
  if (events_.empty()) return SessionEvent{};
  SessionEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Result<ChannelEnd> Session::open(const OpenChannel&) {
  return fail(Code::wrong_state, about() + ": channels are opened at the destination, and this is the source");
}

Result<TransferProgress> Session::progress() {
  Result<TransferProgress> now = TransferProgress{};
  if (!context_->waiting.contains(ref_.domain))
    now = job_progress(*context_->connection, ref_.domain, ended_ ? Job::completed : Job::active);
  const std::lock_guard lock(mutex_);
  // What the last look saw, once the domain or its job is gone.
  if (now && now->total.value > 0) progress_ = *now;
  return progress_;
}

void Session::set_progress(const TransferProgress& progress) {
  const std::lock_guard lock(mutex_);
  progress_ = progress;
}

Status Session::start_pump() {
  VMSEC_TRY(wake_, event_descriptor());
  {
    const std::lock_guard lock(mutex_);
    running_ = true;
  }
  thread_ = std::thread([this] { pump(); });
  return {};
}

void Session::stop_pump() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  if (wake_.valid()) static_cast<void>(::eventfd_write(wake_.get(), 1));
  if (thread_.joinable()) thread_.join();
}

void Session::pump() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) break;
    }
    std::vector<pollfd> fds = {{wake_.get(), POLLIN, 0}};
    watch(fds);
    if (::poll(fds.data(), fds.size(), -1) < 0) continue;
    eventfd_t ignored = 0;
    if (fds.front().revents != 0) static_cast<void>(::eventfd_read(wake_.get(), &ignored));
    handle(fds);
    run_posted();
  }
  run_posted();
  const std::lock_guard lock(mutex_);
  running_ = false;
}

void Session::run_posted() {
  for (;;) {
    std::function<void()> work;
    {
      const std::lock_guard lock(mutex_);
      if (posted_.empty()) return;
      work = std::move(posted_.front());
      posted_.pop_front();
    }
    work();
  }
}

void Session::post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    if (!running_) return;
    posted_.push_back(std::move(work));
  }
  static_cast<void>(::eventfd_write(wake_.get(), 1));
}

Status Session::in_pump(const std::function<Status()>& work) {
  std::promise<Status> promise;
  auto answer = promise.get_future();
  {
    const std::lock_guard lock(mutex_);
    if (!running_ || stopping_) return fail(Code::wrong_state, about() + ": the session is closed");
    posted_.emplace_back([&] { promise.set_value(work()); });
  }
  static_cast<void>(::eventfd_write(wake_.get(), 1));
  return answer.get();
}

void Session::raise(SessionEvent event) {
  {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }
  changed_.notify_all();
}

void Session::raise(SessionEventKind kind, std::string detail) {
  SessionEvent event;
  event.kind = kind;
  event.detail = std::move(detail);
  raise(std::move(event));
}

void Session::end(SessionEventKind kind, std::string detail) {
  ended_ = true;
  raise(kind, std::move(detail));
}

bool Session::wait_ended(Microseconds wait) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::microseconds(wait.value), [&] { return ended_.load(); });
}

std::string Session::about() const { return "migration " + ref_.migration.text() + " of domain " + ref_.domain.text(); }

}  // namespace vmsec::kvm
