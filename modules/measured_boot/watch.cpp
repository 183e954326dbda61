#include "watch.hpp"

#include <algorithm>
#include <cstring>

#include "evidence/digest.hpp"

namespace vmsec::boot {
namespace {

constexpr int kSweepsInAnInterval = 10;

// 0 to 1. What follows from it is no secret worth failing for: without randomness, the middle.
double random_fraction() {
  const auto bytes = random_bytes(sizeof(std::uint32_t));
  if (!bytes) return 0.5;
  std::uint32_t number = 0;
  std::memcpy(&number, bytes->data(), sizeof number);
  return static_cast<double>(number) / 4294967296.0;
}

SteadyTime::duration part_of(std::chrono::seconds interval, double part) {
  return std::chrono::duration_cast<SteadyTime::duration>(std::chrono::duration<double>(interval) * part);
}

// Of a thread of our own there is nobody to hear: what did not fit into memory now is tried again at its next turn.
template <class Act>
void guarded(Act act) {
  try {
    act();
  } catch (const std::exception&) {
  }
}

}  // namespace

Watch::Watch(std::chrono::seconds interval, Clock clock, Visit visit, Sweep sweep)
    : interval_(interval),
      clock_(std::move(clock)),
      visit_(std::move(visit)),
      sweep_(std::move(sweep)),
      next_sweep_(clock_()) {}

Watch::~Watch() { stop(); }

void Watch::put(Lock&, const std::string& host, SteadyTime when) {
  if (interval_.count() == 0) return;
  due_.emplace(when, host);
  ++hosts_;
  if (started_ && !stopping_ && threads_.size() < std::min(kAttestedAtOnce, hosts_))
    threads_.emplace_back(&Watch::run, this);
  wake_.notify_one();
}

void Watch::add(const std::string& host) {
  Lock lock(mutex_);
  put(lock, host, clock_() + part_of(interval_, random_fraction()));
}

void Watch::add_now(const std::string& host) {
  Lock lock(mutex_);
  if (const auto busy = visited_.find(host); busy != visited_.end()) {
    busy->second = true;
    return;
  }
  const auto found = std::ranges::find(due_, host, [](const auto& each) { return each.second; });
  if (found != due_.end()) {
    due_.erase(found);
    --hosts_;
  }
  put(lock, host, clock_());
}

void Watch::start() {
  const Lock lock(mutex_);
  started_ = true;
  while (threads_.size() < std::min(kAttestedAtOnce, hosts_)) threads_.emplace_back(&Watch::run, this);
}

void Watch::stop() {
  std::vector<std::thread> ending;
  {
    const Lock lock(mutex_);
    stopping_ = true;
    ending.swap(threads_);
    wake_.notify_all();
  }
  for (auto& thread : ending) thread.join();
}

bool Watch::is_due() const { return !due_.empty() && due_.begin()->first <= clock_(); }

// Unlocks while it visits: the others go on.
void Watch::visit_first(Lock& lock) {
  const std::string host = std::move(due_.begin()->second);
  due_.erase(due_.begin());
  const auto busy = visited_.emplace(host, false).first;
  lock.unlock();
  guarded([&] { visit_(host); });
  const SteadyTime now = clock_();
  lock.lock();
  due_.emplace(busy->second ? now : now + part_of(interval_, 0.9 + 0.2 * random_fraction()), host);
  visited_.erase(busy);
  wake_.notify_one();
}

void Watch::sweep_if_due(Lock& lock) {
  const SteadyTime now = clock_();
  if (now < next_sweep_) return;
  next_sweep_ = now + interval_ / kSweepsInAnInterval;
  lock.unlock();
  guarded([&] { sweep_(now); });
  lock.lock();
}

void Watch::run() {
  Lock lock(mutex_);
  while (!stopping_) {
    sweep_if_due(lock);
    if (stopping_) return;
    if (is_due()) {
      visit_first(lock);
      continue;
    }
    const SteadyTime next = due_.empty() ? next_sweep_ : std::min(next_sweep_, due_.begin()->first);
    wake_.wait_for(lock, next - clock_());
  }
}

std::size_t Watch::run_due() {
  Lock lock(mutex_);
  sweep_if_due(lock);
  std::size_t visited = 0;
  for (; is_due(); ++visited) visit_first(lock);
  return visited;
}

std::optional<SteadyTime> Watch::next_due() const {
  const Lock lock(mutex_);
  if (due_.empty()) return std::nullopt;
  return due_.begin()->first;
}

std::size_t Watch::threads() const {
  const Lock lock(mutex_);
  return threads_.size();
}

}  // namespace vmsec::boot
