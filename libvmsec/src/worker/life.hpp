// One life of a module's process: from its start to its end, with a cause.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "loader/sealed_file.hpp"
#include "vmsec/abi.h"
#include "vmsec/host.hpp"
#include "worker/line.hpp"
#include "worker/loading.hpp"
#include "worker/notes.hpp"
#include "worker/process.hpp"

namespace vmsec::worker {

inline constexpr auto kGrace = std::chrono::seconds(2);  // from the end of a line to the process's

// What is run, and what it may take.
struct LifePlan {
  std::string name;     // of the module
  std::string program;  // vmsec-worker
  const loader::SealedFile& object;
  std::vector<std::string> libraries;
  WorkerBudget budget;
  vmsec_host host{};
  // Told of what the sandbox refused, now and then. From the life's own thread.
  std::function<void(const std::string&)> refused = {};
  // True: no life is wanted any more, also one that has only begun. Outlives the life.
  const std::atomic<bool>* unwanted = nullptr;
};

// Why it ended, and with which code its calls are answered.
struct Cause {
  Code code = Code::unavailable;
  std::string text;
};

// Any thread. Its process is killed with it.
class Life {
 public:
  // Returns when the module's object is loaded behind the sandbox, or cannot be.
  static Result<std::unique_ptr<Life>> begin(const LifePlan& plan);
  ~Life();
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;

  // Calls the module. What it calls meanwhile is served by this thread.
  Result<Packet> call(FrameKind kind, std::string_view interface, std::uint32_t method, Packet request);
  // Waits for its end.
  Cause wait();
  [[nodiscard]] bool has_ended();
  // Ends it, if it has not ended, for this cause.
  void end(Cause cause);
  // After its end: waits until no thread of ours serves a call of it any more.
  void drain();

 private:
  using Clock = std::chrono::steady_clock;

  // A line with what the watch needs to know of it.
  struct Track {
    Track(Fd socket) : line(std::move(socket), Other::worker) {}
    Line line;
    std::atomic<std::int64_t> until{0};  // when the other end must have moved; 0: it is our turn
    std::mutex mutex;
    std::string what;  // under the mutex
  };
  class Turn;

  Life(const LifePlan& plan, Fd control, Fd far) : plan_(plan), control_(std::move(control)), far_(std::move(far)) {}

  // The watch, in a thread of its own.
  void run();
  Status start();
  void watch();
  void look(Clock::time_point now);
  void look_at_turns(std::int64_t now);
  void look_at_use(Clock::time_point now);
  void look_at_notes();
  bool control_message();
  void on_control(Message message);
  void on_loading(Message message);
  void on_ready(const Frame& frame);
  void add_own_line();
  std::string name_of(const ProcessEnd& end) const;
  void finish(std::optional<ProcessEnd> end);

  // Lines.
  Result<Track*> take();
  void give_back(Track* track);
  void shut_all();
  static void name(Track& track, std::string what);
  Result<Message> receive_own(Track& track);
  void serve_own_line(Track& track);
  Result<Message> exchange(Track& track, Message request, std::int64_t& left);
  Message serve(Message request);
  std::unexpected<Error> ended_error(const std::string& what);
  Error broke_rules(const Error& error);

  const LifePlan plan_;
  Fd control_;
  Fd far_;  // until it is the worker's
  std::optional<Process> process_;
  // Of the watch alone.
  Loading loading_;
  bool told_ = false;      // by a first control message
  bool filtered_ = false;  // it has had a filter since before its module was mapped
  Notes* notes_ = nullptr;
  std::uint32_t told_refused_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool ready_ = false;
  bool ended_ = false;
  std::optional<Cause> cause_;  // of its end, as soon as it is known
  std::list<Track> tracks_;
  std::vector<Track*> free_;
  std::size_t lines_ = 0;
  std::size_t in_use_ = 0;  // threads of ours within call()
  std::list<std::thread> servers_;

  std::atomic<std::uint64_t> calls_{0};  // of the module
  struct Sample {
    Clock::time_point at;
    std::uint64_t calls = 0;
    std::uint64_t ticks = 0;
  };
  std::vector<Sample> samples_;
  std::uint64_t largest_data_ = 0;
  Clock::time_point had_memory_{};
  std::thread watch_;
};

}  // namespace vmsec::worker
