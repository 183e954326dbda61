#include "collector.hpp"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "metrics.hpp"
#include "rising_counters.hpp"

namespace vmsec::daemon {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kFarewell{1};

}  // namespace

struct Collector::Shared {
  Read read;
  std::mutex asking;  // one who asks at a time
  std::mutex mutex;
  std::condition_variable changed;
  bool wanted = false;
  bool ending = false;
  bool ended = false;
  std::uint64_t round = 0;  // of what was read last
  std::optional<Result<std::vector<tools::Reading>>> last;
  Clock::time_point read_at;
  std::string text;  // of that round
  RisingCounters counters;
};

Collector::Collector(Agent agent, Read read, CollectorTimes times)
    : agent_(std::move(agent)), times_(times), shared_(std::make_shared<Shared>()) {
  shared_->read = std::move(read);
  std::thread([shared = shared_] { work(shared); }).detach();
}

// A call to a hypervisor that hangs cannot be ended: it must not keep the agent from its own end.
Collector::~Collector() {
  std::unique_lock lock(shared_->mutex);
  shared_->ending = true;
  shared_->changed.notify_all();
  shared_->changed.wait_for(lock, kFarewell, [&] { return shared_->ended; });
}

void Collector::work(const std::shared_ptr<Shared>& shared) {
  std::unique_lock lock(shared->mutex);
  while (true) {
    shared->changed.wait(lock, [&] { return shared->wanted || shared->ending; });
    if (shared->ending) break;
    lock.unlock();
    auto read = shared->read();
    lock.lock();
    shared->wanted = false;
    if (read) shared->counters.keep(*read);
    shared->last = std::move(read);
    shared->read_at = Clock::now();
    ++shared->round;
    shared->changed.notify_all();
  }
  shared->read = nullptr;
  shared->ended = true;
  shared->changed.notify_all();
}

Result<std::string> Collector::text() {
  const std::lock_guard turn(shared_->asking);
  std::unique_lock lock(shared_->mutex);
  if (!shared_->text.empty() && Clock::now() - shared_->read_at < times_.fresh) return shared_->text;
  const auto before = shared_->round;
  shared_->wanted = true;
  shared_->changed.notify_all();
  const bool answered = shared_->changed.wait_for(lock, times_.patience, [&] { return shared_->round != before; });
  lock.unlock();
  VMSEC_TRY(const auto info, agent_());
  lock.lock();
  if (!answered) {
    shared_->text.clear();
    return metrics_text(info, fail(Code::timeout, "the hypervisor does not answer"));
  }
  shared_->text = metrics_text(info, *shared_->last);
  return shared_->text;
}

}  // namespace vmsec::daemon
