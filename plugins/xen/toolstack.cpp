#include "toolstack.hpp"

#include <pthread.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <fstream>
#include <mutex>
#include <thread>
#include <vector>

#include "xenstored.hpp"

namespace vmsec::xen {
namespace {

constexpr std::size_t kLasting = 32;             // saves and restores
constexpr std::size_t kWorkers = kLasting + 32;  // and short calls
constexpr std::chrono::milliseconds kProbe{5000};

Status require_dom0() {
  std::ifstream file("/proc/xen/capabilities");
  std::string capabilities;
  std::getline(file, capabilities);
  if (capabilities.find("control_d") != std::string::npos) return {};
  return fail(Code::unsupported, "this machine is no Xen dom0 (/proc/xen/capabilities " +
                                     std::string(file.is_open() ? "says no control_d" : "is not there") +
                                     "); boot it under Xen, and mount xenfs at /proc/xen");
}

}  // namespace

struct Toolstack::Worker {
  std::mutex mutex;
  std::condition_variable changed;
  Job job;
  bool stop = false;
};

struct Toolstack::State {
  std::mutex mutex;
  std::vector<std::shared_ptr<Worker>> idle;
  std::size_t workers = 0;
  std::size_t lasting = 0;
  bool stopped = false;
};

Toolstack::Toolstack(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<std::shared_ptr<Toolstack>> Toolstack::open() {
  VMSEC_CHECK(require_dom0());
  std::shared_ptr<Toolstack> out(new Toolstack(std::make_shared<State>()));
  VMSEC_CHECK(out->call("open libxl", [](Libxl&) -> Status { return {}; }));
  return out;
}

// Those that are in a call end after it.
Toolstack::~Toolstack() {
  const std::lock_guard lock(state_->mutex);
  state_->stopped = true;
  for (const auto& worker : state_->idle) {
    const std::lock_guard inner(worker->mutex);
    worker->stop = true;
    worker->changed.notify_all();
  }
  state_->idle.clear();
}

Result<std::shared_ptr<void>> Toolstack::take_place(const std::string& operation) {
  const std::lock_guard lock(state_->mutex);
  if (state_->lasting == kLasting)
    return fail(Code::unavailable, operation + ": " + std::to_string(kLasting) + " domains are on their way already");
  ++state_->lasting;
  return std::shared_ptr<void>(nullptr, [state = state_](void*) {
    const std::lock_guard inner(state->mutex);
    --state->lasting;
  });
}

Status Toolstack::run(const std::string& operation, Job job) {
  if (const Status alive = probe_xenstored(kXenstoredSocket, kProbe); !alive) {
    Error error = alive.error().in(operation);
    error.code = Code::unavailable;
    return fail(std::move(error));
  }
  const std::lock_guard lock(state_->mutex);
  if (!state_->idle.empty()) {
    const auto worker = std::move(state_->idle.back());
    state_->idle.pop_back();
    const std::lock_guard inner(worker->mutex);
    worker->job = std::move(job);
    worker->changed.notify_all();
    return {};
  }
  if (state_->workers == kWorkers)
    return fail(Code::unavailable, operation + ": " + std::to_string(kWorkers) + " calls of libxl have not come back");
  const auto worker = std::make_shared<Worker>();
  worker->job = std::move(job);
  ++state_->workers;
  std::thread(work, state_, worker).detach();
  return {};
}

void Toolstack::work(const std::shared_ptr<State>& state, const std::shared_ptr<Worker>& worker) {
  // Signals belong to the program's own threads, but for libxl's children's.
  sigset_t blocked;
  sigfillset(&blocked);
  sigdelset(&blocked, SIGCHLD);
  pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
  pthread_setname_np(pthread_self(), "vmsec-libxl");
  auto libxl = Libxl::open();
  for (;;) {
    Job job;
    {
      std::unique_lock lock(worker->mutex);
      worker->changed.wait(lock, [&] { return worker->job || worker->stop; });
      if (!worker->job) break;
      job = std::exchange(worker->job, {});
    }
    if (libxl) (*libxl)->begin();
    job(libxl ? Result<Libxl*>(libxl->get()) : Result<Libxl*>(fail(libxl.error())));
    job = {};
    const std::lock_guard lock(state->mutex);
    if (state->stopped || !libxl) break;
    state->idle.push_back(worker);
  }
  const std::lock_guard lock(state->mutex);
  --state->workers;
}

}  // namespace vmsec::xen
