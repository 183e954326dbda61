#include "stream.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <ctime>
#include <system_error>
#include <vector>

namespace vmsec::migration {
namespace {

// As far as the kernel lets: fewer, larger reads of what the hypervisor writes.
constexpr int kSocketBuffer = 4 << 20;
constexpr std::uint64_t kRecordsPerClock = 16;

std::uint64_t thread_cpu() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

void tune(int hypervisor, int wire) {
  for (const int option : {SO_RCVBUF, SO_SNDBUF})
    setsockopt(hypervisor, SOL_SOCKET, option, &kSocketBuffer, sizeof kSocketBuffer);
  // Only latency: the kernel sizes a TCP socket's buffers better than a constant does.
  const int on = 1;
  setsockopt(wire, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  for (const int fd : {hypervisor, wire}) {
    const int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) != 0) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
  }
}

// A module whose budget of threads is used up loses a stream by it, not its process.
template <class Work>
Status start_thread(std::thread& thread, Work work) try {
  thread = std::thread(std::move(work));
  return {};
} catch (const std::system_error& error) {
  return fail(Code::limit_exceeded, std::string("start a stream's thread: ") + error.what());
}

}  // namespace

// One thread's CPU time, published now and then.
class SealedStream::Meter {
 public:
  explicit Meter(std::atomic<std::uint64_t>& cpu) : cpu_(cpu) {}
  ~Meter() { cpu_ = thread_cpu(); }
  void tick() {
    if (++records_ % kRecordsPerClock == 0) cpu_ = thread_cpu();
  }

 private:
  std::atomic<std::uint64_t>& cpu_;
  std::uint64_t records_ = 0;
};

SealedStream::SealedStream(StreamName name, Side side, StreamEnds ends, std::unique_ptr<RecordLayer> layer,
                           Bandwidth* bandwidth, Broken broken)
    : name_(std::move(name)),
      side_(side),
      ends_(std::move(ends)),
      layer_(std::move(layer)),
      bandwidth_(bandwidth),
      broken_(std::move(broken)) {}

Result<std::unique_ptr<SealedStream>> SealedStream::start(StreamName name, Side side, Suite suite, StreamEnds ends,
                                                          Bandwidth* bandwidth, Broken broken) {
  VMSEC_TRY(auto layer, make_record_layer(name, side, suite, ends.wire.get(), std::move(ends.seal_secret),
                                          std::move(ends.open_secret)));
  std::unique_ptr<SealedStream> stream(
      new SealedStream(std::move(name), side, std::move(ends), std::move(layer), bandwidth, std::move(broken)));
  stream->wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stream->wake_.valid()) return fail(errno_error("start stream " + to_string(stream->name_)));
  tune(stream->ends_.hypervisor.get(), stream->ends_.wire.get());
  VMSEC_CHECK(start_thread(stream->out_, [raw = stream.get()] { raw->pump_out(); }));
  return stream;
}

SealedStream::~SealedStream() { stop(); }

void SealedStream::stop() {
  stopping_ = true;
  cut();
  if (out_.joinable()) out_.join();
  if (in_.joinable()) in_.join();
  ends_.wire.reset();
  ends_.hypervisor.reset();
}

void SealedStream::cut() {
  ending_ = true;
  if (ends_.wire.valid()) ::shutdown(ends_.wire.get(), SHUT_RDWR);
  if (ends_.hypervisor.valid()) ::shutdown(ends_.hypervisor.get(), SHUT_RDWR);
  changed_.notify_all();
  if (bandwidth_ != nullptr) bandwidth_->wake();
}

void SealedStream::request_mark() {
  mark_requested_ = true;
  const std::uint64_t one = 1;
  std::ignore = ::write(wake_.get(), &one, sizeof one);
}

StreamTotals SealedStream::totals() const { return {wire_bytes_, guest_bytes_, progress_, cpu_out_ + cpu_in_}; }

Result<FlushPoint> SealedStream::flushed(Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  const bool known = changed_.wait_until(lock, deadline, [&] { return flush_point_ || error_ || stopping_.load(); });
  if (flush_point_) return *flush_point_;
  if (error_) return fail(*error_);
  return fail(known ? Code::cancelled : Code::timeout,
              "wait until stream " + to_string(name_) + " has carried all: " + (known ? "stopped" : "time is up"));
}

Status SealedStream::publish(Result<RecordLayer::Carried> carried) {
  if (!carried) return fail(carried.error());
  const std::lock_guard lock(mutex_);
  if (!flush_point_)
    flush_point_ =
        FlushPoint{name_.kind, name_.index, {guest_bytes_.load()}, carried->records, std::move(carried->transcript)};
  changed_.notify_all();
  return {};
}

// A pump's last act. The first error is the stream's; what follows from it is not.
void SealedStream::finish(Status status) {
  if (status || stopping_) return;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = !error_;
    if (first) error_ = status.error().in("stream " + to_string(name_));
  }
  cut();
  if (first) broken_(name_, *error_);
}

void SealedStream::pump_out() {
  Meter meter(cpu_out_);
  // Nothing of either hypervisor moves before both ends know that they have the same keys.
  if (Status begun = layer_->begin(); !begun) return finish(std::move(begun));
  if (Status started = start_thread(in_, [this] { pump_in(); }); !started) return finish(std::move(started));
  finish(send_all(meter));  // the other thread is joined after this one
}

void SealedStream::pump_in() {
  Meter meter(cpu_in_);
  finish(receive_all(meter));
}

Status SealedStream::wait_for_work() const {
  pollfd ready[] = {{ends_.hypervisor.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
  while (::poll(ready, 2, -1) < 0)
    if (errno != EINTR) return fail(errno_error("wait for the hypervisor"));
  std::uint64_t count = 0;
  if (ready[1].revents != 0) std::ignore = ::read(wake_.get(), &count, sizeof count);
  return {};
}

std::size_t SealedStream::piece() const {
  return bandwidth_ == nullptr ? kPreferredPayload : bandwidth_->piece(kPreferredPayload);
}

Status SealedStream::write(RecordType type, std::span<unsigned char> buffer, Meter& meter) {
  const std::size_t length = buffer.size() - kHeaderSize - kTagSize;
  VMSEC_TRY(const std::size_t sent, layer_->write(type, buffer));
  meter.tick();
  progress_ += sent;
  if (!sends_guest()) return {};
  wire_bytes_ += sent;
  guest_bytes_ += length;
  return type == RecordType::data ? Status{} : publish(layer_->written());
}

Status SealedStream::send_all(Meter& meter) {
  std::vector<unsigned char> storage(kHeaderSize + kPreferredPayload + kTagSize);
  const std::span<unsigned char> buffer(storage);
  const int hypervisor = ends_.hypervisor.get();
  while (true) {
    // Read before the socket is: what was written before the request is then seen.
    const bool mark = mark_requested_ && !marked_out_;
    const ssize_t count = ::recv(hypervisor, buffer.data() + kHeaderSize, piece(), MSG_DONTWAIT);
    if (count > 0) {
      if (marked_out_) return fail(Code::internal, "the hypervisor sent more after it had said that all was sent");
      if (!admit(static_cast<std::size_t>(count))) return {};
      const std::size_t size = kHeaderSize + static_cast<std::size_t>(count) + kTagSize;
      VMSEC_CHECK(write(RecordType::data, buffer.first(size), meter));
      continue;
    }
    // A hypervisor that closes with bytes unread resets; all that it wrote has been read by then.
    if (count == 0 || errno == ECONNRESET) break;
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return fail(errno_error("read from the hypervisor"));
    if (mark) {
      marked_out_ = true;
      VMSEC_CHECK(write(RecordType::mark, buffer.first(kHeaderSize + kTagSize), meter));
      continue;
    }
    VMSEC_CHECK(wait_for_work());
  }
  if (stopping_) return {};  // the end is our own doing: it says nothing of the hypervisor
  {
    const std::lock_guard lock(mutex_);
    if (error_) return {};
  }
  VMSEC_CHECK(write(RecordType::end, buffer.first(kHeaderSize + kTagSize), meter));
  return layer_->end_writing();
}

Status SealedStream::deliver(std::span<const unsigned char> payload) {
  if (deaf_) return {};
  Status written = write_all(ends_.hypervisor.get(), payload, "hand to the hypervisor", Code::io);
  if (written) return {};
  // A source's hypervisor may be done before the destination's last words reach
  // it. What goes to the destination must arrive.
  const bool closed = written.error().native == EPIPE || written.error().native == ECONNRESET;
  if (!closed || !sends_guest()) return written;
  deaf_ = true;
  return {};
}

Status SealedStream::accept_record(const RecordLayer::Record& record) {
  const bool guest = !sends_guest();
  if (guest) wire_bytes_ += record.wire_size;
  switch (record.type) {
    case RecordType::data:
      if (marked_in_) return fail(Code::tampered, "data behind the mark that ends it");
      VMSEC_CHECK(deliver(record.payload));
      progress_ += record.payload.size();
      if (guest) guest_bytes_ += record.payload.size();
      return {};
    case RecordType::mark:
      if (!guest || marked_in_) return fail(Code::tampered, "a mark where there can be none");
      marked_in_ = true;
      return publish(layer_->received());
    case RecordType::end:
      VMSEC_CHECK(layer_->end_reading());
      ended_in_ = true;
      ::shutdown(ends_.hypervisor.get(), SHUT_WR);
      return guest ? publish(layer_->received()) : Status{};
  }
  return {};
}

Status SealedStream::receive_all(Meter& meter) {
  while (!ended_in_) {
    VMSEC_TRY(const RecordLayer::Record record, layer_->read());
    VMSEC_CHECK(accept_record(record));
    meter.tick();
  }
  return {};
}

}  // namespace vmsec::migration
