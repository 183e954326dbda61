// The source's engine: pre-copy, switch-over, and letting go.
#pragma once

#include "clock.hpp"
#include "data_records.hpp"
#include "session.hpp"
#include "sim_host.hpp"
#include "token_bucket.hpp"

namespace vmsec::sim {

using common::Session;
using common::Stream;

class Outgoing final : public Session {
 public:
  // Makes the channels and begins.
  static Result<std::shared_ptr<Outgoing>> start(SimHost& host, const StartOutgoing& request, DomainSpec spec,
                                                 std::shared_ptr<Machine> machine);
  Outgoing(SimHost& host, const StartOutgoing& request, DomainSpec spec, std::shared_ptr<Machine> machine);
  // As Migration's.
  Status start_post_copy();

 private:
  enum class PostCopy { no, may, asked, begun, too_late };

  Status make_channels(Faults& faults);
  void run() override;
  void break_data() override;

  // Each answers an error as long as the guest may go on here.
  Status begin();
  Status precopy();
  Status stop_guest();
  Status last_pass();
  Status send_pass();
  Status send_lane(std::size_t lane, const std::vector<std::uint64_t>& dirty);
  Status send_run(Stream& stream, std::size_t first, std::uint32_t dirty, std::uint64_t& records);
  Status send_pages(Stream& stream, DataKind kind, std::size_t page, std::uint32_t count, const unsigned char* bytes);
  Status send_ends();
  Status pace(std::size_t bytes);
  void slow_down(std::uint32_t iteration);

  // Post-copy. Behind stop_for_post_copy() the guest never runs here again.
  void run_post_copy();
  [[nodiscard]] bool post_copy_wanted();
  void settle_post_copy(PostCopy how);
  Status stop_for_post_copy();
  Status send_map();
  Status serve();
  Status send_behind();
  void serve_urgent();
  Status send_urgent(std::uint64_t page);
  Status end_urgent();
  // Those of a run that nobody has sent.
  std::uint32_t claim_run(std::size_t run);
  void lose(const Error& why);

  void give_up(const Error& why);
  // After the gate: from the word to the answer.
  void hand_over();
  void doubt(const std::string& why);
  void measure_downtime();

  SimHost& host_;
  const DomainSpec spec_;
  const std::shared_ptr<Machine> machine_;
  std::unique_ptr<Stream> main_;
  std::vector<std::unique_ptr<Stream>> bulk_;
  std::unique_ptr<Stream> urgent_;
  std::vector<Stream*> lanes_;  // who carries memory: the bulk channels, or main
  std::vector<std::uint64_t> lane_records_;
  std::vector<Digest> page_digests_;
  std::atomic<std::uint64_t> bytes_{0};
  std::mutex pacer_mutex_;
  TokenBucket pacer_;
  PostCopy post_copy_ = PostCopy::no;  // under the session's lock
  std::atomic<bool> asked_ = false;
  std::mutex serving_;                 // of what follows
  std::vector<std::uint64_t> behind_;  // all of them, 64 pages a word
  std::vector<std::uint64_t> unsent_;  // of these
  std::uint64_t urgent_records_ = 0;
  bool urgent_over_ = false;
  std::uint32_t slowed_ = 0;  // per cent
  bool stopped_ = false;
  TimePoint stopped_at_{};
};

}  // namespace vmsec::sim
