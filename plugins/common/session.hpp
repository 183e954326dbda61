// A migration session of a plugin that runs both ends itself: its events, its gate, and the messages
// that came.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "stream.hpp"
#include "vmsec/capability/migration.hpp"

namespace vmsec::common {

// Which domain moves.
struct SessionDomain {
  Uuid uuid;
  std::string name;
  Bytes memory;
};

// Any thread may call the public part. The engine is one thread, and a reader of
// the control channel beside it; neither holds the session's lock while it calls
// the hypervisor or sends.
class Session {
 public:
  Session(SessionDomain domain, Uuid migration, MigrationOptions options);
  virtual ~Session() = default;

  [[nodiscard]] const Uuid& migration() const { return migration_; }
  [[nodiscard]] const Uuid& domain() const { return domain_.uuid; }
  SessionEvent next(Microseconds wait);
  Status decide(const GateDecision& decision);
  Status cancel();
  TransferProgress progress();
  [[nodiscard]] bool ended();
  virtual Result<ChannelEnd> open(const OpenChannel& request);
  // Ends it, whatever it does, and its threads. Where the word is out already,
  // the end is `doubt`. Any number may call, at once too: each returns when it has ended.
  void close();

 protected:
  enum class Phase {
    moving,     // bytes flow
    gate,       // waits for decide()
    switching,  // told to proceed: only the engine ends it now
    ended,
  };

  void start_engine();
  virtual void run() = 0;
  // Someone who is blocked in a data channel gets an error.
  virtual void break_data() = 0;

  void start_control(std::unique_ptr<Stream> control);
  // Under the lock.
  [[nodiscard]] bool has_control() const { return control_ != nullptr; }
  Status await_control();
  // An error when the other host cannot have the whole message.
  Status send(const Control& message);
  // Waits for the next message, whatever it is; an error when none can come, or
  // the session is called off here.
  Result<Control> receive();
  // An error when something calls the move off: cancel, close, a broken channel,
  // or a message where none is due.
  Status trouble();
  Status pass_gate();
  // What the gate's word said of it: the guest is to be loaded running.
  bool runs();
  void fail_data(const Error& error);
  void push(SessionEvent event);
  void end(SessionEventKind kind, std::string detail);
  // Waits until `done` (asked under the lock), or trouble, or for `most` seconds.
  void wait(const std::function<bool()>& done, double most);
  // The same whatever the trouble; answers whether it is done.
  bool wait_back(const std::function<bool()>& done, double most);

  const SessionDomain domain_;
  const Uuid migration_;
  const MigrationOptions options_;
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  TransferProgress progress_;

 private:
  void read_control();
  // Both under the lock.
  [[nodiscard]] Status called_off() const;
  [[nodiscard]] Status trouble_now() const;

  std::deque<SessionEvent> events_;
  std::optional<SessionEvent> last_;  // the session's end, told to whoever asks again
  Phase phase_ = Phase::moving;
  std::optional<GateDecision> decision_;
  bool cancelled_ = false;
  bool closing_ = false;
  std::optional<Error> data_error_;
  std::unique_ptr<Stream> control_;
  std::deque<Control> inbox_;
  std::optional<Error> control_end_;
  std::mutex joining_;
  std::thread engine_;
  std::thread control_reader_;
};

}  // namespace vmsec::common
