#include "pump.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace vmsec::link {
namespace {

constexpr std::size_t kSpare = 16;

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

std::vector<char> Pump::empty_chunk() {
  if (spare_.empty()) return std::vector<char>(most_);
  std::vector<char> chunk = std::move(spare_.back());
  spare_.pop_back();
  chunk.resize(most_);
  return chunk;
}

// What was sent before still arrives.
void Pump::end(Time now) {
  ended_ = true;
  end_ = std::max(last_, now + delay_);
}

void Pump::cut() {
  cut_ = over_ = ended_ = true;
  held_.clear();
}

bool Pump::take(Wire& wire, Time now) {
  if (!may_take() || now < begin_ || now < wire.opens()) return false;
  std::vector<char> chunk = empty_chunk();
  const ssize_t got = ::recv(in_, chunk.data(), std::min(most_, flow_.room()), 0);
  if (got < 0 && would_block()) {
    spare_.push_back(std::move(chunk));
    readable_ = false;
    return false;
  }
  if (got <= 0) {
    cut_ = got < 0;
    end(now);
    return true;
  }
  chunk.resize(static_cast<std::size_t>(got));
  last_ = flow_.send(wire, now, chunk.size());
  held_.push_back({last_, std::move(chunk)});
  return true;
}

bool Pump::give(Time now) {
  if (held_.empty() || !writable_ || held_.front().arrival > now) return false;
  Chunk& chunk = held_.front();
  const ssize_t put = ::send(out_, chunk.bytes.data() + chunk.given, chunk.bytes.size() - chunk.given, MSG_NOSIGNAL);
  if (put < 0 && would_block()) {
    writable_ = false;
    return false;
  }
  if (put < 0) {
    cut();
    return true;
  }
  chunk.given += static_cast<std::size_t>(put);
  bytes_ += static_cast<std::uint64_t>(put);
  flow_.received(now, static_cast<std::size_t>(put));
  if (chunk.given < chunk.bytes.size()) return true;
  if (spare_.size() < kSpare) spare_.push_back(std::move(chunk.bytes));
  held_.pop_front();
  return true;
}

bool Pump::give_end(Time now) {
  if (over_ || !ended_ || !held_.empty() || now < end_) return false;
  over_ = true;
  ::shutdown(out_, SHUT_WR);
  return true;
}

bool Pump::step(Wire& wire, Time now) {
  flow_.learn(now);
  const bool taken = take(wire, now), given = give(now), ended = give_end(now);
  return taken || given || ended;
}

Time Pump::wakes(const Wire& wire) const {
  Time next = kNever;
  if (may_take()) next = std::min(next, std::max(begin_, wire.opens()));
  if (readable_ && !ended_ && flow_.room() < kSegment) next = std::min(next, flow_.learns());
  if (!held_.empty() && writable_) next = std::min(next, held_.front().arrival);
  if (ended_ && !over_ && held_.empty()) next = std::min(next, end_);
  return next;
}

}  // namespace vmsec::link
