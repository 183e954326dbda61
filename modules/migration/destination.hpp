// The receiving end of one migration.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "context.hpp"
#include "key_schedule.hpp"
#include "stream_set.hpp"

namespace vmsec::migration {

// Destroys a copy that does not run, however often it is asked, and waits for a
// hypervisor that is still at work on it. Success: nothing is left.
Status discard_copy(const Context& context, const SessionRef& session);

// What PREPARE must be before it takes a place here: its form and this host's policy, and
// a ticket, which is spent.
Status check_prepare(const Policy& policy, const PeerContext& from, const PrepareRequest& request);
Status spend_ticket(const Context& context, const PeerContext& from, const PrepareRequest& request);

// Any thread.
class Destination {
 public:
  // `from` is the control connection.
  Destination(Context& context, PeerContext from, PrepareRequest request);
  ~Destination();  // gives up what is not past its gate; what is stays held
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;

  // Of a request that was checked, and whose ticket is spent: writes the record,
  // prepares; then the session runs in a thread of its own. After an error nothing is left. Of one that is on record as
  // committed, and is taken up, all stays as it was then.
  Result<PrepareReply> prepare();

  Result<JoinReply> join(const PeerContext& from, const JoinRequest& request);
  Status stream_ready(const PeerContext& from, const JoinRequest& request, StreamEnd stream);
  Status switch_over(const PeerContext& from, const SwitchRequest& request);
  void disconnected(std::uint64_t connection);

  // COMMIT has come: waits until the guest is loaded, or will never be.
  void await_loaded();
  // The ledger has the decision: the session ends. Waits for that.
  void decided();
  // Post-copy was announced, and no manifest has come since: COMMIT comes before the guest is loaded.
  [[nodiscard]] bool commits_first() const;
  // What that COMMIT does: `gated` is on record, and the session's gate may pass. `wrong_state` before SWITCH was
  // checked, and once this end has given up; after any error it never passes.
  Status commit_first();

  [[nodiscard]] const Uuid& migration() const { return request_.migration; }
  [[nodiscard]] const Uuid& domain() const { return request_.description.domain; }
  [[nodiscard]] bool finished() const { return finished_; }
  [[nodiscard]] Microseconds cpu() const { return {streams_.totals().cpu_microseconds}; }

 private:
  [[nodiscard]] bool recovers() const { return request_.options.recover; }
  Result<PrepareReply> take_up();

  struct Pending {
    StreamName name;
    std::string nonce;
    Fd hypervisor;
  };

  Status check_join(const PeerContext& from, const JoinRequest& request, const StreamName& name) const;
  void run();
  bool handle(const SessionEvent& event);  // false: the session is over
  bool look_around();
  [[nodiscard]] bool may_go_on();
  Status announced();
  void pass_gate();
  Status pass_before_commit();
  Status pass_after_commit();
  Status wait_for_word();
  void run_loaded();
  bool lose(const SessionEvent& event);  // false
  Status check_source() const;
  void let_it_be_heard();
  void await_decision();
  void give_up(const Error& cause);
  void hold_undecided();
  void let_owner_have_it();
  void end_session();
  void audit_refusal(const SessionEvent& event) const;
  void audit_unheard_refusals() const;
  [[nodiscard]] std::optional<Error> first_cause() const;
  [[nodiscard]] bool stopping() const;
  [[nodiscard]] Phase phase() const;
  [[nodiscard]] SessionRef session() const { return {request_.migration, request_.description.domain}; }

  Context& context_;
  const PeerContext from_;
  PrepareRequest request_;
  std::shared_ptr<Board> board_;
  StreamSet streams_{Side::destination};

  std::mutex joining_;  // one stream at a time, in order
  std::set<std::pair<ChannelKind, std::uint32_t>> joined_;
  std::map<std::uint32_t, Pending> pending_;  // admitted, not ready yet; by ordinal

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool verified_ = false;
  bool announced_ = false;     // post-copy was, and the source is who it was
  bool commit_heard_ = false;  // since
  Clock::time_point committed_;
  bool switching_ = false;
  bool loaded_ = false;
  bool decided_ = false;
  bool disconnected_ = false;
  bool stopping_ = false;
  std::optional<Error> cause_;

  std::uint64_t seen_progress_ = 0;
  Clock::time_point last_progress_ = Clock::now();
  bool gate_passed_or_refused_ = false;
  bool follows_ = false;                      // the gate was passed after COMMIT
  std::optional<Clock::time_point> stop_by_;  // at the latest
  Clock::time_point gate_;
  std::atomic<bool> finished_ = false;
  std::thread thread_;
};

}  // namespace vmsec::migration
