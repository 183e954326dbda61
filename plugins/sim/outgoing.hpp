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

 private:
  Status make_channels(Faults& faults);
  void run() override;
  void break_data() override;

  // Each answers an error as long as the guest may go on here.
  Status begin();
  Status precopy();
  Status last_pass();
  Status send_pass();
  Status send_lane(std::size_t lane, const std::vector<std::uint64_t>& dirty);
  Status send_run(Stream& stream, std::size_t first, std::uint32_t dirty, std::uint64_t& records);
  Status send_pages(Stream& stream, DataKind kind, std::size_t page, std::uint32_t count, const unsigned char* bytes);
  Status send_ends();
  Status pace(std::size_t bytes);
  void slow_down(std::uint32_t iteration);

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
  std::vector<Stream*> lanes_;  // who carries memory: the bulk channels, or main
  std::vector<std::uint64_t> lane_records_;
  std::vector<Digest> page_digests_;
  std::atomic<std::uint64_t> bytes_{0};
  std::mutex pacer_mutex_;
  TokenBucket pacer_;
  std::uint32_t slowed_ = 0;  // per cent
  bool stopped_ = false;
  TimePoint stopped_at_{};
};

}  // namespace vmsec::sim
