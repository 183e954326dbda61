// The watch over a process: begun, looked at, ended with a cause.
#include "worker/life.hpp"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "vmsec/service/error_reply.hpp"
#include "vmsec/units.hpp"

namespace vmsec::worker {
namespace {

constexpr int kLook = 250;                                // milliseconds between two looks
constexpr auto kCpuTime = std::chrono::seconds(10);       // over which CPU time is counted
constexpr auto kEnding = std::chrono::milliseconds(700);  // what a process takes to end, once it has no memory

// What the notes hold is the module's own word.
std::string text_of(const std::array<std::atomic<char>, 24>& note) {
  std::string text;
  for (const auto& each : note) {
    const char c = each.load(std::memory_order_relaxed);
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) break;
    text += c;
  }
  return text;
}

std::string signal_name(int number) {
  const char* name = ::sigabbrev_np(number);
  return name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(number);
}

Result<Fd> notes_file() {
  Fd file(::memfd_create("vmsec-worker", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.valid() || ::ftruncate(file.get(), kNotesSize) != 0 ||
      ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return fail(errno_error("make a worker's notes"));
  return file;
}

}  // namespace

Result<std::unique_ptr<Life>> Life::begin(const LifePlan& plan) {
  VMSEC_TRY(LinePair control, control_pair());
  std::unique_ptr<Life> life(new Life(plan, std::move(control.near), std::move(control.far)));
  try {
    life->watch_ = std::thread(&Life::run, life.get());
  } catch (const std::system_error& error) {
    life->ended_ = true;
    return fail(Code::unavailable, std::string("watch its process: ") + error.what());
  }
  std::unique_lock lock(life->mutex_);
  life->changed_.wait(lock, [&] { return life->ready_ || life->ended_; });
  if (!life->ready_) return fail(life->cause_->code, life->cause_->text);
  lock.unlock();
  return life;
}

Life::~Life() {
  end({Code::cancelled, "it is not wanted any more"});
  drain();
  if (watch_.joinable()) watch_.join();
  if (notes_ != nullptr) ::munmap(notes_, kNotesSize);
}

Cause Life::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ended_; });
  return *cause_;
}

bool Life::has_ended() {
  const std::lock_guard lock(mutex_);
  return ended_;
}

void Life::end(Cause cause) {
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  if (!cause_) cause_ = std::move(cause);
  if (process_) process_->kill();
}

void Life::run() {
  if (const Status started = start(); !started) {
    if (process_) process_->kill();
    const auto ended = process_ ? std::optional(process_->wait()) : std::nullopt;
    // What ended by itself has the better cause.
    const bool by_itself = ended && !(ended->by_signal && ended->number == SIGKILL);
    {
      const std::lock_guard lock(mutex_);
      if (!cause_ && !by_itself) cause_ = Cause{started.error().code, started.error().message};
    }
    return finish(ended);
  }
  watch();
  finish(process_->wait());
}

Status Life::start() {
  VMSEC_TRY(Fd notes, notes_file());
  void* page = ::mmap(nullptr, kNotesSize, PROT_READ | PROT_WRITE, MAP_SHARED, notes.get(), 0);
  if (page == MAP_FAILED) return fail(errno_error("map a worker's notes"));
  notes_ = static_cast<Notes*>(page);
  VMSEC_TRY(Process process, Process::begin(plan_.program, far_));
  {
    const std::lock_guard lock(mutex_);
    process_.emplace(std::move(process));
    if (cause_) process_->kill();
  }
  far_.reset();
  // The program waits for its setup, and has one thread.
  if (!plan_.budget.cpus.empty()) VMSEC_CHECK(process_->pin(plan_.budget.cpus));
  // Where the host runs out of memory, a module is to end before a guest. It is no matter of safety: done where it can
  // be.
  std::ofstream("/proc/" + std::to_string(process_->id()) + "/oom_score_adj") << 1000;
  Setup setup;
  setup.name = plan_.name;
  setup.libraries = plan_.libraries;
  setup.memory = plan_.budget.memory.value;
  setup.descriptors = plan_.budget.descriptors;
  setup.threads = plan_.budget.threads;
  setup.user = user_of(*process_);
  Frame frame;
  frame.kind = FrameKind::setup;
  frame.payload = wire::encode(setup);
  std::vector<Fd> fds;
  VMSEC_TRY(Fd object, plan_.object.fd().duplicate());
  fds.push_back(std::move(object));
  fds.push_back(std::move(notes));
  return send_control(control_, std::move(frame), fds);
}

void Life::watch() {
  const auto began = Clock::now();
  had_memory_ = began;
  std::optional<Clock::time_point> cut;  // when the control socket ended
  while (true) {
    // What is negative is not looked at.
    std::array<pollfd, 3> entries{pollfd{process_->watch().get(), POLLIN, 0},
                                  pollfd{cut ? -1 : control_.get(), POLLIN, 0},
                                  pollfd{loading_.goes_on() ? loading_.fd().get() : -1, POLLIN, 0}};
    const int ready = ::poll(entries.data(), entries.size(), kLook);
    if (ready < 0 && errno != EINTR) return;
    if (ready > 0 && (entries[2].revents & POLLIN) != 0) loading_.answer();
    if (ready > 0 && (entries[2].revents & (POLLHUP | POLLERR)) != 0) loading_.end();
    if (ready > 0 && !cut && (entries[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
      if (!control_message()) cut = Clock::now();
    }
    // After its last words, which have the better cause.
    if ((entries[0].revents & POLLIN) != 0) return;
    const auto now = Clock::now();
    if (plan_.unwanted != nullptr && *plan_.unwanted) end({Code::cancelled, "the host ends it"});
    if (cut && now - *cut > kGrace) end({Code::unavailable, "it closed its control line"});
    if (!ready_ && now - began > std::chrono::microseconds(plan_.budget.deadline.value))
      end({Code::timeout, "it was not loaded within " + to_text(plan_.budget.deadline)});
    look(now);
  }
}

// Whether another may come.
bool Life::control_message() {
  // The first one comes before any code of the module's runs there.
  auto message = receive_control(control_, told_ ? Descriptors::none : Descriptors::taken);
  told_ = true;
  if (!message) {
    if (message.error().code == Code::invalid_argument) end({Code::unavailable, "it sent " + message.error().message});
    return false;
  }
  on_control(std::move(*message));
  return true;
}

void Life::on_control(Message message) {
  const FrameKind kind = message.frame.kind;
  // What is not loaded yet calls nobody: a constructor has more rights than the module will have.
  if (kind == FrameKind::want_line && ready_) return add_own_line();
  if (kind == FrameKind::loading && message.fds.size() == 1) return on_loading(std::move(message));
  if (kind == FrameKind::ready && !ready_) return on_ready(message.frame);
  end({Code::unavailable, "it sent a control message out of turn"});
}

void Life::on_loading(Message message) {
  auto loading = Loading::begin(std::move(message.fds.front()));
  if (!loading) return end({loading.error().code, loading.error().message});
  loading_ = std::move(*loading);
  filtered_ = true;
}

// Who says so may be the worker, or a constructor of the module's: either way loading is over.
void Life::on_ready(const Frame& frame) {
  loading_.end();
  if (frame.code != 0) {
    const auto error = wire::decode<ErrorReply>(frame.payload);
    return end({error ? error->error().code : Code::internal, error ? error->message : "it could not be loaded"});
  }
  if (!filtered_) return end({Code::unavailable, "it did not close its sandbox"});
  const std::lock_guard lock(mutex_);
  ready_ = true;
  changed_.notify_all();
}

void Life::look(Clock::time_point now) {
  look_at_turns(now.time_since_epoch().count());
  look_at_use(now);
  look_at_notes();
}

void Life::look_at_turns(std::int64_t now) {
  std::string what;
  {
    const std::lock_guard lock(mutex_);
    for (Track& track : tracks_) {
      const std::int64_t until = track.until;
      if (until == 0 || now <= until) continue;
      const std::lock_guard name(track.mutex);
      what = track.what;
    }
  }
  if (!what.empty()) end({Code::timeout, what});
}

void Life::look_at_use(Clock::time_point now) {
  const WorkerBudget& budget = plan_.budget;
  const ProcessUse use = process_->use();
  largest_data_ = std::max(largest_data_, use.data);
  // A process that is just ending shows none either.
  if (use.has_memory) had_memory_ = now;
  if (now - had_memory_ > kEnding) return end({Code::unavailable, "its first thread ended"});
  if (use.data >= budget.memory.value / 16 * 15)
    return end({Code::unavailable, "its memory budget of " + to_text(budget.memory) + " is used up"});
  if (use.threads >= budget.threads)
    return end({Code::unavailable, "its budget of " + std::to_string(budget.threads) + " threads is used up"});
  if (ready_ && process_->descriptors() >= budget.descriptors)
    return end({Code::unavailable, "its budget of " + std::to_string(budget.descriptors) + " descriptors is used up"});
  samples_.push_back({now, calls_, use.cpu_ticks});
  std::erase_if(samples_, [&](const Sample& each) { return now - each.at > kCpuTime; });
  const auto second = std::ranges::find_if(
      samples_, [&](const Sample& each) { return now - each.at <= std::chrono::milliseconds(1000 + kLook); });
  if (samples_.back().calls - second->calls > std::uint64_t{budget.calls} * 5 / 4)
    return end({Code::unavailable, "a flood of calls: more than " + std::to_string(budget.calls) + " in a second"});
  if (budget.cpu_percent == 0 || now - samples_.front().at < kCpuTime - std::chrono::seconds(1)) return;
  const double seconds = std::chrono::duration<double>(now - samples_.front().at).count();
  const double used =
      static_cast<double>(use.cpu_ticks - samples_.front().ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  if (used * 100 > seconds * budget.cpu_percent)
    end({Code::unavailable, "its CPU budget of " + std::to_string(budget.cpu_percent) + "% is used up"});
}

void Life::look_at_notes() {
  const std::uint32_t refused = notes_->refused;
  if (refused == told_refused_) return;
  const std::uint32_t more = refused - told_refused_;
  told_refused_ = refused;
  if (plan_.refused)
    plan_.refused("system call " + text_of(notes_->last) + ": not permitted" +
                  (more > 1 ? ", and " + std::to_string(more - 1) + " more calls" : ""));
}

std::string Life::name_of(const ProcessEnd& end) const {
  const bool starved = notes_->no_memory != 0 || largest_data_ >= plan_.budget.memory.value / 4 * 3;
  const std::string memory = starved ? "its memory budget of " + to_text(plan_.budget.memory) + " is used up: " : "";
  if (end.by_signal && end.number == SIGSYS) return "a forbidden system call";
  if (end.by_signal && end.number == SIGKILL) return "it was killed (SIGKILL)";
  if (end.by_signal) return memory + "it crashed (" + signal_name(end.number) + ")";
  if (end.number == static_cast<int>(WorkerExit::forbidden)) {
    const std::string call = text_of(notes_->forbidden);
    return "a forbidden system call" + (call.empty() ? "" : ": " + call);
  }
  if (end.number == static_cast<int>(WorkerExit::aborted)) return memory + "it crashed (SIGABRT)";
  if (!ready_ && end.number > 0 && end.number < static_cast<int>(WorkerExit::forbidden))
    return "its process could not begin: " + std::generic_category().message(end.number);
  return "it ended itself (exit code " + std::to_string(end.number) + ")";
}

void Life::finish(std::optional<ProcessEnd> end) {
  if (notes_ != nullptr) look_at_notes();
  const std::lock_guard lock(mutex_);
  if (!cause_) cause_ = Cause{Code::unavailable, end ? name_of(*end) : "it did not begin"};
  ended_ = true;
  for (Track& track : tracks_) track.line.shut();
  changed_.notify_all();
}

}  // namespace vmsec::worker
