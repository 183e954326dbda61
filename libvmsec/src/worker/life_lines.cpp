// Calls over a process's lines, in both directions.
#include <system_error>

#include "vmsec/module.hpp"
#include "vmsec/units.hpp"
#include "worker/life.hpp"

namespace vmsec::worker {
namespace {

constexpr std::size_t kLines = 64;            // on which we call
constexpr std::size_t kOwnLines = 64;         // on which the module's threads do
constexpr Microseconds kTaking{30'000'000};   // for the module to take an answer
constexpr Microseconds kSending{10'000'000};  // and to send a call, from its first byte

std::int64_t now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }
std::int64_t nanoseconds(Microseconds time) { return static_cast<std::int64_t>(time.value) * 1000; }

Result<Packet> packet_of(Message message) {
  if (message.frame.code == 0) return Packet{std::move(message.frame.payload), std::move(message.fds)};
  auto error = wire::decode<ErrorReply>(message.frame.payload);
  if (!error) return fail(static_cast<Code>(message.frame.code), "an error whose text does not decode");
  return fail(error->error());
}

}  // namespace

// While it lives, the module has the turn on this line, for no longer than `left`.
class Life::Turn {
 public:
  Turn(Track& track, std::int64_t& left) : track_(track), left_(left), began_(now()) { track_.until = began_ + left_; }
  ~Turn() {
    track_.until = 0;
    left_ = std::max<std::int64_t>(left_ - (now() - began_), 1);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Track& track_;
  std::int64_t& left_;
  const std::int64_t began_;
};

Result<Packet> Life::call(FrameKind kind, std::string_view interface, std::uint32_t method, Packet request) {
  const std::string what = kind == FrameKind::call      ? std::string(interface) + "." + std::to_string(method)
                           : kind == FrameKind::destroy ? std::string("the end of its instance")
                                                        : std::string("the making of its instance");
  VMSEC_TRY(Track * track, take());
  name(*track, "it did not answer within " + to_text(plan_.budget.deadline) + ": " + what);
  Message next;
  next.frame.kind = kind;
  next.frame.interface = interface;
  next.frame.method = method;
  next.frame.payload = std::move(request.bytes);
  next.fds = std::move(request.fds);
  std::int64_t left = nanoseconds(plan_.budget.deadline);
  auto answer = [&]() -> Result<Packet> {
    while (true) {
      auto message = exchange(*track, std::move(next), left);
      if (!message && message.error().code == Code::limit_exceeded) return fail(message.error().in("call " + what));
      if (!message) return fail(broke_rules(message.error()));
      if (message->frame.kind == FrameKind::reply) return packet_of(std::move(*message));
      next = serve(std::move(*message));
    }
  }();
  give_back(track);
  return answer;
}

// What it is ended for when it keeps its turn on this line for too long.
void Life::name(Track& track, std::string what) {
  const std::lock_guard lock(track.mutex);
  track.what = std::move(what);
}

// Sends, and waits for what comes back.
Result<Message> Life::exchange(Track& track, Message request, std::int64_t& left) {
  const Turn turn(track, left);
  const FrameKind kind = request.frame.kind;
  if (Status sent = track.line.send(std::move(request.frame), request.fds); !sent) {
    // Of what is too large nothing was sent: where that is an answer, the module must have another.
    if (sent.error().code != Code::limit_exceeded || kind != FrameKind::reply) return fail(sent.error());
    VMSEC_CHECK(track.line.send(reply_of(fail(sent.error())).frame));
  }
  return track.line.receive();
}

// One call of the module's. Its handle is looked at where handles are known.
Message Life::serve(Message request) {
  ++calls_;
  if (request.frame.kind != FrameKind::call) {
    end({Code::unavailable,
         "it sent a frame out of turn, of kind " + std::to_string(static_cast<std::uint32_t>(request.frame.kind))});
    return reply_of(fail(Code::invalid_argument, "a frame out of turn"));
  }
  return reply_of(sdk::call_through(plan_.host.call, plan_.host.context, {}, request.frame.handle, request.frame.method,
                                    Packet{std::move(request.frame.payload), std::move(request.fds)}));
}

// A line's end comes a little before the process's, which has the better cause.
Error Life::broke_rules(const Error& error) {
  if (error.code == Code::invalid_argument) {
    end({Code::unavailable, "it sent " + error.message});
  } else {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kGrace, [&] { return ended_; })) {
      lock.unlock();
      end({Code::unavailable, "it closed a line"});
    }
  }
  const Cause cause = wait();
  return Error{cause.code, cause.text, 0, {}};
}

Result<Life::Track*> Life::take() {
  std::unique_lock lock(mutex_);
  ++in_use_;
  const auto refuse = [&](Cause cause) -> Result<Track*> {
    --in_use_;
    changed_.notify_all();
    return fail(cause.code, std::move(cause.text));
  };
  // Who holds them may be waiting for this very call.
  const auto patience = std::chrono::microseconds(plan_.budget.deadline.value);
  if (free_.empty() && lines_ >= kLines && !changed_.wait_for(lock, patience, [&] { return ended_ || !free_.empty(); }))
    return refuse({Code::unavailable, "all of its " + std::to_string(kLines) + " lines are in use"});
  if (cause_) {
    changed_.wait(lock, [&] { return ended_; });
    return refuse(*cause_);
  }
  if (!free_.empty()) {
    Track* track = free_.back();
    free_.pop_back();
    return track;
  }
  auto pair = line_pair();
  if (!pair) return refuse({pair.error().code, pair.error().message});
  std::vector<Fd> fds;
  fds.push_back(std::move(pair->far));
  Frame frame;
  frame.kind = FrameKind::line;
  if (const Status sent = send_control(control_, std::move(frame), fds, Wait::not_at_all); !sent)
    return refuse({Code::unavailable, "make a line to it: " + sent.error().message});
  ++lines_;
  return &tracks_.emplace_back(std::move(pair->near));
}

void Life::give_back(Track* track) {
  const std::lock_guard lock(mutex_);
  --in_use_;
  free_.push_back(track);
  changed_.notify_all();
}

// The watch does this, so it waits for nobody.
void Life::add_own_line() {
  const std::lock_guard lock(mutex_);
  if (ended_ || cause_) return;
  if (servers_.size() >= kOwnLines) {
    cause_ = Cause{Code::unavailable, "it asked for more than " + std::to_string(kOwnLines) + " lines"};
    return process_->kill();
  }
  auto pair = line_pair();
  if (!pair) return;
  std::vector<Fd> fds;
  fds.push_back(std::move(pair->far));
  Frame frame;
  frame.kind = FrameKind::own_line;
  if (const Status sent = send_control(control_, std::move(frame), fds, Wait::not_at_all); !sent) {
    cause_ = Cause{Code::unavailable, sent.error().message};
    return process_->kill();
  }
  Track& track = tracks_.emplace_back(std::move(pair->near));
  try {
    servers_.emplace_back([this, &track] { serve_own_line(track); });
  } catch (const std::system_error&) {
    track.line.shut();  // the module learns that its line has ended, and ends
  }
}

// Nobody waits for its next call: so only from the first byte on is it late.
Result<Message> Life::receive_own(Track& track) {
  track.line.await();
  const Microseconds patience{std::min(kSending.value, plan_.budget.deadline.value)};
  name(track, "it did not send the rest of a frame within " + to_text(patience));
  std::int64_t left = nanoseconds(patience);
  const Turn turn(track, left);
  return track.line.receive();
}

void Life::serve_own_line(Track& track) {
  while (true) {
    auto message = receive_own(track);
    if (!message) {
      if (message.error().code == Code::invalid_argument)
        end({Code::unavailable, "it sent " + message.error().message});
      return;
    }
    Message reply = serve(std::move(*message));
    name(track, "it did not take an answer within " + to_text(kTaking));
    std::int64_t left = nanoseconds(kTaking);
    const Turn turn(track, left);
    Status sent = track.line.send(std::move(reply.frame), reply.fds);
    if (!sent && sent.error().code == Code::limit_exceeded) sent = track.line.send(reply_of(fail(sent.error())).frame);
    if (!sent) return;
  }
}

void Life::drain() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ended_ && in_use_ == 0; });
  std::list<std::thread> servers = std::move(servers_);
  lock.unlock();
  for (std::thread& server : servers) server.join();
}

}  // namespace vmsec::worker
