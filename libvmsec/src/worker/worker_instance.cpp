#include "worker/worker_instance.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#include "loader/shared_object.hpp"
#include "vmsec/units.hpp"
#include "worker/life.hpp"

namespace vmsec::worker {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Microseconds kFirstPause{100'000};
constexpr Microseconds kLongestPause{30'000'000};
constexpr Microseconds kGoodLife{60'000'000};
constexpr std::chrono::seconds kRestart{60};  // longer than the object's loading and a usual instance's making

std::unexpected<Error> failed(const std::string& name, const Error& error) { return fail(error.in("module " + name)); }

class WorkerInstance final : public loader::ModuleInstance {
 public:
  WorkerInstance(LifePlan plan, const Settings& settings, WorkerHooks hooks)
      : plan_(std::move(plan)), settings_(wire::encode(settings)), hooks_(std::move(hooks)) {
    plan_.unwanted = &unwanted_;
  }
  WorkerInstance(const WorkerInstance&) = delete;
  WorkerInstance& operator=(const WorkerInstance&) = delete;

  ~WorkerInstance() override {
    std::shared_ptr<Life> life;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      life = life_;
      changed_.notify_all();
    }
    if (life) {
      std::ignore = life->call(FrameKind::destroy, {}, 0, {});
      life->end({Code::cancelled, "the host ends it"});
    }
    unwanted_ = true;
    if (keeper_.joinable()) keeper_.join();
  }

  Status start() {
    VMSEC_TRY(life_, begin());
    try {
      keeper_ = std::thread(&WorkerInstance::keep, this);
    } catch (const std::system_error& error) {
      return fail(Code::unavailable, "module " + plan_.name + ": watch over its lives: " + error.what());
    }
    return {};
  }

  Result<Packet> call(std::string_view interface, std::uint32_t method, Packet request) override {
    VMSEC_TRY(const std::shared_ptr<Life> life, current());
    auto answer = life->call(FrameKind::call, interface, method, std::move(request));
    if (!answer && life->has_ended()) return failed(plan_.name, answer.error());
    return answer;
  }

  [[nodiscard]] loader::InstanceState state() const override {
    const std::lock_guard lock(mutex_);
    return {"worker", life_ ? "running" : "waiting to start again", restarts_, last_end_,
            life_ ? Microseconds{} : left()};
  }

  // The keeper buries the old life and begins the new one, as after any end, but without the pause.
  Status restart(const std::string& why) override {
    std::unique_lock lock(mutex_);
    const auto before = restarts_;
    hurry_ = true;
    back_off_.reset();
    changed_.notify_all();
    if (const auto life = life_) {
      lock.unlock();
      life->end({Code::cancelled, why});
      lock.lock();
    }
    const auto done = [&] { return stopping_ || restarts_ != before; };
    if (!changed_.wait_for(lock, kRestart, done))
      return fail(Code::timeout, "it has not begun again within " +
                                     std::to_string(std::chrono::seconds(kRestart).count()) + " s; it is tried on");
    if (stopping_) return fail(Code::cancelled, "the host ends it");
    return life_ ? Status() : fail(Code::unavailable, "it did not start: " + last_end_);
  }

 private:
  // Until the next attempt, in whole milliseconds. Under the mutex.
  [[nodiscard]] Microseconds left() const {
    const auto rest = std::chrono::ceil<std::chrono::milliseconds>(next_ - Clock::now());
    return {rest.count() > 0 ? static_cast<std::uint64_t>(rest.count()) * 1000 : 0};
  }

  Result<std::shared_ptr<Life>> current() const {
    const std::lock_guard lock(mutex_);
    if (life_) return life_;
    const Microseconds rest = left();
    const std::string when = rest.value > 0 ? "again in " + to_text(rest) : "now";
    return fail(Code::unavailable,
                "module " + plan_.name + ": its process has ended: " + last_end_ + "; it is started " + when);
  }

  Result<std::shared_ptr<Life>> begin() {
    auto life = Life::begin(plan_);
    if (!life) {
      if (hooks_.ended && !is_stopping()) hooks_.ended(life.error().message);
      if (hooks_.release) hooks_.release();
      return failed(plan_.name, life.error());
    }
    const auto made = (*life)->call(FrameKind::create, {}, 0, Packet{settings_, {}});
    if (made) return std::shared_ptr<Life>(std::move(*life));
    const bool ended = (*life)->has_ended();
    // Its threads may be waiting for somebody who says nothing: that is ended before they are waited for.
    (*life)->end({Code::cancelled, "its instance could not be made"});
    tidy(**life, made.error().message);
    return ended ? failed(plan_.name, made.error()) : fail(made.error());
  }

  // Waits for the end of a life, tidies up, and begins the next one.
  void keep() {
    while (true) {
      const auto began = Clock::now();
      const Cause cause = life_->wait();
      if (!bury(cause.text)) return;
      auto lived = Clock::now() - began;
      do {
        if (!pause(lived)) return;
        lived = Clock::duration::zero();
      } while (!revive());
    }
  }

  // False: it is the end of all lives.
  bool bury(const std::string& cause) {
    std::shared_ptr<Life> life;
    {
      const std::lock_guard lock(mutex_);
      life = std::exchange(life_, nullptr);
      if (!stopping_) last_end_ = cause;
    }
    tidy(*life, cause);
    const std::lock_guard lock(mutex_);
    return !stopping_;
  }

  void tidy(Life& life, const std::string& cause) {
    if (hooks_.ended && !is_stopping()) hooks_.ended(cause);
    life.drain();
    if (hooks_.release) hooks_.release();
  }

  bool pause(Clock::duration lived) {
    std::unique_lock lock(mutex_);
    const auto time = back_off_.next(
        {static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(lived).count())});
    next_ = Clock::now() + std::chrono::microseconds(time.value);
    changed_.wait_until(lock, next_, [&] { return stopping_ || hurry_; });
    hurry_ = false;
    return !stopping_;
  }

  bool revive() {
    auto life = begin();
    const std::lock_guard lock(mutex_);
    ++restarts_;
    if (!life) last_end_ = life.error().message;
    if (life) life_ = std::move(*life);
    changed_.notify_all();
    return life_ != nullptr;
  }

  bool is_stopping() const {
    const std::lock_guard lock(mutex_);
    return stopping_;
  }

  std::atomic<bool> unwanted_{false};
  LifePlan plan_;
  const std::string settings_;
  const WorkerHooks hooks_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool hurry_ = false;          // the next pause is none
  std::shared_ptr<Life> life_;  // null: it has ended, and the next one has not begun
  std::uint32_t restarts_ = 0;
  std::string last_end_;
  Clock::time_point next_;
  BackOff back_off_;
  std::thread keeper_;
};

}  // namespace

Microseconds BackOff::next(Microseconds lived) {
  if (lived.value >= kGoodLife.value) pause_ = {};
  pause_.value = pause_.value == 0 ? kFirstPause.value : std::min(2 * pause_.value, kLongestPause.value);
  return pause_;
}

Result<std::unique_ptr<loader::ModuleInstance>> start_in_worker(const loader::ModuleFile& file, const vmsec_host& host,
                                                                const Settings& settings, WorkerOptions options) {
  if (options.program.empty()) options.program = loader::installed_folder("vmsec-worker");
  LifePlan plan{file.manifest().name, options.program, file.sealed(), file.needed(), options.budget, host,
                options.hooks.refused};
  auto instance = std::make_unique<WorkerInstance>(std::move(plan), settings, std::move(options.hooks));
  VMSEC_CHECK(instance->start());
  return std::unique_ptr<loader::ModuleInstance>(std::move(instance));
}

}  // namespace vmsec::worker
