// Carries one channel: the hypervisor's bytes on one side, records to the other host on the other.
//
// Two threads, one per direction. Each direction ends on its own: the
// hypervisor's end-of-file becomes an end record, and an end record becomes the
// end of what the other hypervisor reads. A cut connection is never an end.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "bandwidth.hpp"
#include "protocol.hpp"
#include "record_layer.hpp"

namespace vmsec::migration {

using Clock = std::chrono::steady_clock;

struct StreamEnds {
  Fd hypervisor;  // the near end of a channel
  Fd wire;        // the raw socket to the other host
  std::string seal_secret;
  std::string open_secret;
};

struct StreamTotals {
  std::uint64_t wire_bytes = 0;   // records and their overhead, in the guest's direction
  std::uint64_t guest_bytes = 0;  // what they held
  std::uint64_t progress = 0;     // changes whenever a byte moves, either way
  std::uint64_t cpu_microseconds = 0;
};

class SealedStream {
 public:
  // Called once, from a thread of the stream, when it breaks.
  using Broken = std::function<void(const StreamName&, const Error&)>;

  // Takes both descriptors. `side` tells which direction holds the guest, `name` which suite carries it. What is
  // sent waits for `bandwidth`, unless it is null; it outlives the stream.
  static Result<std::unique_ptr<SealedStream>> start(StreamName name, Side side, Suite suite, StreamEnds ends,
                                                     Bandwidth* bandwidth, Broken broken);
  ~SealedStream();  // stop()
  SealedStream(const SealedStream&) = delete;
  SealedStream& operator=(const SealedStream&) = delete;

  // Source: asks for a mark behind everything that the hypervisor has written by now.
  void request_mark();
  // What was carried to the destination up to the mark or the end: sealed and
  // sent at the source; verified and handed to the hypervisor in full at the
  // destination. Waits for it.
  Result<FlushPoint> flushed(Clock::time_point deadline);

  // Cuts both sides and waits for the threads. Not from broken().
  void stop();

  [[nodiscard]] const StreamName& name() const { return name_; }
  [[nodiscard]] StreamTotals totals() const;

 private:
  class Meter;

  SealedStream(StreamName name, Side side, StreamEnds ends, std::unique_ptr<RecordLayer> layer, Bandwidth* bandwidth,
               Broken broken);
  void pump_out();
  void pump_in();
  Status send_all(Meter& meter);
  Status receive_all(Meter& meter);
  Status accept_record(const RecordLayer::Record& record);
  [[nodiscard]] std::size_t piece() const;
  bool admit(std::size_t bytes) { return bandwidth_ == nullptr || bandwidth_->admit(bytes, ending_); }
  Status write(RecordType type, std::span<unsigned char> buffer, Meter& meter);
  Status deliver(std::span<const unsigned char> payload);
  Status wait_for_work() const;
  Status publish(Result<RecordLayer::Carried> carried);
  void finish(Status status);
  // Wakes whoever is blocked; the descriptors stay open until the threads are gone.
  void cut();
  [[nodiscard]] bool sends_guest() const { return side_ == Side::source; }

  const StreamName name_;
  const Side side_;
  StreamEnds ends_;
  const std::unique_ptr<RecordLayer> layer_;
  Bandwidth* const bandwidth_;
  const Broken broken_;
  Fd wake_;

  std::atomic<bool> mark_requested_ = false;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> ending_ = false;  // stopping, or broken: nobody waits for bandwidth any more
  bool marked_out_ = false;           // pump_out's own
  bool marked_in_ = false;            // pump_in's own, as are the next two
  bool ended_in_ = false;
  bool deaf_ = false;  // the hypervisor reads no more of what goes back to the source
  std::atomic<std::uint64_t> wire_bytes_ = 0;
  std::atomic<std::uint64_t> guest_bytes_ = 0;
  std::atomic<std::uint64_t> progress_ = 0;
  std::atomic<std::uint64_t> cpu_out_ = 0;
  std::atomic<std::uint64_t> cpu_in_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<FlushPoint> flush_point_;
  std::optional<Error> error_;

  std::thread out_;
  std::thread in_;
};

}  // namespace vmsec::migration
