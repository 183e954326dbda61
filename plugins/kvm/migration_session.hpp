// What both ends of a migration share: a thread that pumps, and events.
#pragma once

#include <poll.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "context.hpp"
#include "migration_io.hpp"
#include "vmsec/capability/migration.hpp"

namespace vmsec::kvm {

inline constexpr Microseconds kEndWait{30'000'000};  // for a session to end

// What poll(2) said: there is something to read from it, or it has ended.
inline bool readable(const std::vector<pollfd>& fds, int fd) {
  constexpr short kInput = POLLIN | POLLHUP | POLLERR;
  for (const pollfd& each : fds)
    if (each.fd == fd && fd >= 0 && (each.revents & kInput) != 0) return true;
  return false;
}

// One migration of one domain on this host. All that a session decides happens in
// its pump thread; the other threads ask it by in_pump().
class Session {
 public:
  Session(std::shared_ptr<Context> context, const SessionRef& ref) : context_(std::move(context)), ref_(ref) {}
  virtual ~Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  virtual Result<SessionEvent> next(Microseconds wait);
  virtual Result<Empty> decide(const GateDecision& decision) = 0;
  virtual Result<Empty> cancel() = 0;
  virtual Result<ChannelEnd> open(const OpenChannel& channel);
  // `wrong_state` while closing would decide who owns the guest.
  virtual Result<Empty> close() = 0;
  [[nodiscard]] virtual bool outgoing() const = 0;

  [[nodiscard]] const SessionRef& ref() const { return ref_; }
  // done, failed or doubt was raised, and nothing is under way any more.
  [[nodiscard]] bool ended() const { return ended_; }
  Result<TransferProgress> progress();

 protected:
  Status start_pump();
  // The most derived destructor calls it: afterwards no virtual is called.
  void stop_pump();
  // In the pump thread: what to poll; then, what poll said.
  virtual void watch(std::vector<pollfd>& fds) = 0;
  virtual void handle(const std::vector<pollfd>& fds) = 0;

  // Runs it in the pump thread, and waits for its end.
  Status in_pump(const std::function<Status()>& work);
  // The same without waiting. After stop_pump() it is not run.
  void post(std::function<void()> work);

  void raise(SessionEvent event);
  void raise(SessionEventKind kind, std::string detail = {});
  void end(SessionEventKind kind, std::string detail);
  // What progress() answers when the hypervisor has nothing to say any more.
  void set_progress(const TransferProgress& progress);
  bool wait_ended(Microseconds wait);
  [[nodiscard]] std::string about() const;

  std::shared_ptr<Context> context_;
  const SessionRef ref_;
  std::atomic<bool> ended_ = false;

 private:
  void pump();
  void run_posted();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<SessionEvent> events_;
  std::deque<std::function<void()>> posted_;
  TransferProgress progress_;
  bool stopping_ = false;
  bool running_ = false;
  Fd wake_;
  std::thread thread_;
};

}  // namespace vmsec::kvm
