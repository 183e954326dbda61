#include "worker/line.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include "vmsec/service/error_reply.hpp"

namespace vmsec::worker {
namespace {

constexpr std::size_t kHead = 4;
// Looked up when the process begins: later, a worker may open no file that tells.
const bool kAlone = std::thread::hardware_concurrency() < 2;
constexpr std::size_t kStep = 256 << 10;  // memory is taken as the bytes come, not as they are announced

std::unexpected<Error> gone() { return fail(Code::unavailable, "the other end closed the line"); }
std::unexpected<Error> gone(int number) { return fail(errno_error("use a line", number, Code::unavailable)); }
std::unexpected<Error> broken(const std::string& rule) { return fail(Code::invalid_argument, rule); }
std::unexpected<Error> too_many(Other from) {
  return from == Other::worker
             ? broken("descriptors, which no worker may send")
             : broken("a frame with more than " + std::to_string(kMaximumDescriptors) + " descriptors");
}

rpc::Received receive_from(Descriptors descriptors, const Fd& socket, std::span<char> to) {
  if (descriptors == Descriptors::none) return rpc::receive_without(socket.get(), to, 0);
  return rpc::receive_with(socket.get(), to, 0);
}

Result<std::string> encoded(Frame& frame, std::size_t fds, std::size_t limit) {
  if (fds > kMaximumDescriptors || frame.payload.size() > limit - 1024 || frame.interface.size() > 512)
    return fail(Code::limit_exceeded, "a message of " + std::to_string(frame.payload.size()) + " bytes and " +
                                          std::to_string(fds) + " descriptors: at most " + std::to_string(limit >> 20) +
                                          " MiB and " + std::to_string(kMaximumDescriptors) + " pass");
  frame.descriptors = static_cast<std::uint32_t>(fds);
  std::string bytes;
  bytes.reserve(frame.payload.size() + 64);
  bytes.assign(kHead, '\0');
  wire::encode_into(bytes, frame, nullptr);
  const std::size_t size = bytes.size() - kHead;
  for (std::size_t i = 0; i < kHead; ++i) bytes[i] = static_cast<char>(size >> (24 - 8 * i));
  return bytes;
}

constexpr auto kSpin = std::chrono::microseconds(40);
constexpr std::uint32_t kMostSkipped = 63;

Result<LinePair> pair_of(int type) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()) != 0) return fail(errno_error("make a line"));
  return LinePair{Fd(ends[0]), Fd(ends[1])};
}

std::size_t announced(std::string_view head) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < kHead; ++i) size = size << 8 | static_cast<unsigned char>(head[i]);
  return size;
}

}  // namespace

Result<Message> decode_frame(std::string_view bytes, std::vector<Fd> fds) {
  auto frame = wire::decode<Frame>(bytes);
  if (!frame) return broken("a frame that does not decode: " + frame.error().message);
  if (frame->descriptors != fds.size())
    return broken("a frame that announces " + std::to_string(frame->descriptors) + " descriptors and brings " +
                  std::to_string(fds.size()));
  return Message{std::move(*frame), std::move(fds)};
}

Message reply_of(Result<Packet> result) {
  Message message;
  message.frame.kind = FrameKind::reply;
  if (result) {
    message.frame.payload = std::move(result->bytes);
    message.fds = std::move(result->fds);
  } else {
    message.frame.code = static_cast<std::uint32_t>(result.error().code);
    message.frame.payload = wire::encode(ErrorReply::from(result.error()));
  }
  return message;
}

Status Line::send(Frame frame, const std::vector<Fd>& fds) {
  const std::size_t limit = other_ == Other::worker ? kMaximumToWorker : kMaximumFromWorker;
  if (other_ == Other::host && !fds.empty())
    return fail(Code::limit_exceeded, "a message with descriptors: a module sends none to its host");
  VMSEC_TRY(const std::string bytes, encoded(frame, fds.size(), limit));
  const ssize_t first = rpc::send_with(socket_.get(), bytes, fds, 0);
  if (first < 0) return gone(errno);
  for (auto done = static_cast<std::size_t>(first); done < bytes.size();) {
    const ssize_t sent = ::send(socket_.get(), bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return gone(errno);
    done += static_cast<std::size_t>(sent);
  }
  return {};
}

Result<std::size_t> Line::size_of(std::string_view head) const {
  const std::size_t limit = other_ == Other::worker ? kMaximumFromWorker : kMaximumToWorker;
  const std::size_t size = announced(head);
  if (size > limit)
    return broken("a frame of " + std::to_string(size) + " bytes, where " + std::to_string(limit) + " are allowed");
  return size;
}

// A sleep and its end cost more than most calls: so for a moment it is only looked, where
// another CPU can be at work meanwhile. Where that was for nothing, on a busy machine, it
// is tried more and more seldom.
void Line::look_for_a_moment() {
  if (kAlone || skip_ > 0) {
    skip_ -= kAlone ? 0 : 1;
    return;
  }
  const auto until = std::chrono::steady_clock::now() + kSpin;
  char first = 0;
  do {
    if (::recv(socket_.get(), &first, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN) {
      penalty_ = 0;
      return;
    }
  } while (std::chrono::steady_clock::now() < until);
  penalty_ = std::min(2 * penalty_ + 1, kMostSkipped);
  skip_ = penalty_;
}

void Line::await() {
  look_for_a_moment();
  char first = 0;
  while (::recv(socket_.get(), &first, 1, MSG_PEEK) < 0 && errno == EINTR) continue;
}

Status Line::receive_more(std::string& bytes, std::size_t whole) {
  const std::size_t had = bytes.size();
  bytes.resize(std::min(whole, had + kStep));
  const rpc::Received more = rpc::receive_without(socket_.get(), std::span(bytes).subspan(had), 0);
  if (more.size < 0) return gone(errno);
  if (more.size == 0) return gone();
  if (more.cut) return too_many(other_);
  bytes.resize(had + static_cast<std::size_t>(more.size));
  return {};
}

Result<Message> Line::receive() {
  look_for_a_moment();
  const Descriptors taken = other_ == Other::worker ? Descriptors::none : Descriptors::taken;
  rpc::Received first = receive_from(taken, socket_, small_);
  if (first.size < 0) return gone(errno);
  if (first.size == 0) return gone();
  if (first.cut) return too_many(other_);
  std::string bytes(small_.data(), static_cast<std::size_t>(first.size));
  std::size_t whole = bytes.size() >= kHead ? 0 : kHead;
  while (true) {
    if (bytes.size() >= kHead) {
      VMSEC_TRY(const std::size_t size, size_of(bytes));
      whole = kHead + size;
    }
    if (bytes.size() >= whole) break;
    VMSEC_CHECK(receive_more(bytes, whole));
  }
  if (bytes.size() > whole) return broken("a frame out of turn: more came than one, where one is due");
  return decode_frame(std::string_view(bytes).substr(kHead), std::move(first.fds));
}

void Line::shut() { ::shutdown(socket_.get(), SHUT_RDWR); }

Result<LinePair> line_pair() { return pair_of(SOCK_STREAM); }
Result<LinePair> control_pair() { return pair_of(SOCK_SEQPACKET); }

Status send_control(const Fd& socket, Frame frame, const std::vector<Fd>& fds, Wait wait) {
  VMSEC_TRY(const std::string bytes, encoded(frame, fds.size(), kMaximumControl));
  if (rpc::send_with(socket.get(), bytes, fds, wait == Wait::not_at_all ? MSG_DONTWAIT : 0) >= 0) return {};
  if (errno == EAGAIN) return fail(Code::timeout, "the other end does not read its control line");
  return gone(errno);
}

Result<Message> receive_control(const Fd& socket, Descriptors descriptors) {
  std::array<char, kMaximumControl> buffer{};
  rpc::Received first = receive_from(descriptors, socket, buffer);
  if (first.size < 0) return gone(errno);
  if (first.size == 0) return gone();
  const std::string_view bytes(buffer.data(), static_cast<std::size_t>(first.size));
  if (first.cut || bytes.size() < kHead || announced(bytes) != bytes.size() - kHead)
    return broken("a control message that is cut or too long");
  return decode_frame(bytes.substr(kHead), std::move(first.fds));
}

}  // namespace vmsec::worker
