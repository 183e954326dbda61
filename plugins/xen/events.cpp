// Events: libxl tells of deaths only, so the states are looked at four times a second. What vmsec
// itself changes is told at once.
#include <atomic>
#include <condition_variable>
#include <thread>

#include "context.hpp"
#include "domain.hpp"

namespace vmsec::xen {
namespace {

constexpr std::chrono::milliseconds kPause{250};

Result<std::vector<Observed>> look(Libxl& libxl, const std::string& pool, const Observer& observer) {
  VMSEC_TRY(const auto domains, list_domains(libxl, pool, "look for events"));
  std::vector<Observed> out;
  for (const Seen& seen : domains) {
    std::string name = observer.name_of(seen.uuid);
    if (name.empty()) name = name_of(libxl, seen.domid);
    // A domain without a name is being built.
    if (!name.empty()) out.push_back({seen.uuid, std::move(name), seen.state});
  }
  return out;
}

class XenEvents final : public Events {
 public:
  explicit XenEvents(std::shared_ptr<Context> context) : context_(std::move(context)) {
    thread_ = std::thread([this] { watch(); });
  }
  ~XenEvents() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    stopped_.notify_all();
    thread_.join();
  }

  Result<EventList> next(const NextEvents& request) override { return context_->events->next(request); }

 private:
  void watch() {
    std::unique_lock lock(mutex_);
    while (!stop_) {
      lock.unlock();
      look_once();
      lock.lock();
      stopped_.wait_for(lock, kPause, [&] { return stop_; });
    }
  }

  void look_once() {
    auto& observer = *context_->observer;
    const auto seen = context_->toolstack->call(
        "look for events",
        [pool = context_->pool, keep = context_->observer](Libxl& libxl) { return look(libxl, pool, *keep); });
    if (!seen) return observer.lost(seen.error().message);
    observer.restored();
    observer.note_all(*seen);
    for (const auto& tick : context_->ticks) tick();
  }

  std::shared_ptr<Context> context_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<Events> make_events(std::shared_ptr<Context> context) {
  return std::make_unique<XenEvents>(std::move(context));
}

}  // namespace vmsec::xen
