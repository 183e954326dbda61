// The sending end of one migration.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "context.hpp"
#include "evidence.hpp"
#include "key_schedule.hpp"
#include "source_options.hpp"
#include "stream_set.hpp"

namespace vmsec::migration {

// Clears away what the hypervisor here has left of a guest that has moved. Success: nothing is left.
Status release_copy(const Context& context, const SessionRef& session);

class Source {
 public:
  // Begins in a thread of its own. What happens is on the board. `invalid_argument` for options that cannot be meant.
  static Result<std::unique_ptr<Source>> start(Context& context, MigrateRequest request);
  // The same for one that is on record as committed, and whose post-copy has broken.
  static Result<std::unique_ptr<Source>> recover(Context& context, const OwnershipRecord& record);
  ~Source();  // gives up what is not past its gate; what is stays in doubt
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  // `wrong_state` once the guest is being switched over.
  Status abort();
  // As check_bandwidth() allows.
  // `wrong_state` from the switch-over on: the guest waits for what is sent then.
  Status limit(BytesPerSecond bandwidth);

  [[nodiscard]] const Uuid& migration() const { return migration_; }
  [[nodiscard]] const Uuid& domain() const { return request_.domain; }
  [[nodiscard]] const std::shared_ptr<Board>& board() const { return board_; }
  // Its thread has ended: the record and the hypervisor say the rest.
  [[nodiscard]] bool finished() const { return finished_; }

 private:
  // What an abort request may still change.
  enum class Stage { cancellable, proceeding };

  Source(Context& context, MigrateRequest request, SourceOptions options, Uuid migration, std::string secret);

  void take_up();
  void run();
  // Before the first byte.
  Status prepare();
  Status check_cipher();
  [[nodiscard]] std::string implementation() const;
  Status spend_ticket();
  Status put_on_record();
  Status ask_destination();
  Status begin_session();
  // While it transfers.
  void follow();
  bool handle(SessionEvent event);  // false: the session is over
  [[nodiscard]] bool must_stop();
  void look_around();
  [[nodiscard]] std::optional<Error> overtime() const;
  Status open_stream(SessionEvent event);
  void cancel(const Error& cause);
  void show_progress();
  // At the gate, and after it.
  void pass_gate();
  void lift_limit();
  Status check_gate();
  Status check_destination();
  Status hand_over();
  Status commit_first();
  // Post-copy: its first half lies before the gate.
  [[nodiscard]] bool wants_post_copy() const;
  [[nodiscard]] bool recovers() const { return request_.options.recover; }
  void begin_post_copy();
  Status announce_post_copy();
  void commit();
  void end_failed(const Error& cause);
  void end_in_doubt(const Error& cause);
  void end_doubtful(const std::string& detail);
  void tell_abort(const Error& cause);
  // After COMMIT: until nothing of the copy is left here.
  Status let_go();
  void end_session(MigrationState state, const std::optional<Error>& cause);
  [[nodiscard]] SessionRef session() const { return {migration_, request_.domain}; }

  Context& context_;
  const MigrateRequest request_;
  SourceOptions options_;
  const Uuid migration_;
  std::shared_ptr<Board> board_;
  std::string secret_;
  Cipher cipher_ = Cipher::policy;
  DomainDescription description_;
  PeerContext peer_;
  StreamSet streams_{Side::source};
  std::unique_ptr<Evidence> evidence_;
  std::uint32_t ordinal_ = 0;  // of the last stream

  bool connected_ = false;
  bool recorded_ = false;  // the ledger knows it
  bool asked_ = false;     // PREPARE was sent: the destination may have prepared
  bool session_open_ = false;
  std::optional<Error> cause_;  // why we gave up; the hypervisor's word follows
  std::optional<Clock::time_point> deadline_;
  std::optional<Clock::time_point> stop_by_;  // at the latest
  std::uint64_t seen_progress_ = 0;
  const Clock::time_point began_ = Clock::now();
  Clock::time_point last_progress_ = Clock::now();
  Clock::time_point gate_;
  std::chrono::microseconds downtime_{};
  std::uint32_t passes_ = 0;  // over the guest's memory
  bool announced_ = false;    // post-copy was, to the destination
  bool post_copy_ = false;    // has begun

  std::mutex limiting_;
  bool limit_lifted_ = false;  // under it
  std::atomic<Stage> stage_ = Stage::cancellable;
  std::atomic<bool> abort_requested_ = false;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> finished_ = false;
  std::thread thread_;
};

}  // namespace vmsec::migration
