// The model, without a socket or a clock: when bytes that a sender hands over arrive.
//
// A Wire is one direction of the link, shared by its connections: bytes leave it at its rate, one after the other. A
// Flow is one connection's bytes in that direction: they arrive in order, a delay after they left, and no more are
// under way than a window.
//
// Loss is what TCP makes of it, for a byte stream loses nothing: a chunk of k segments is hit with 1 - (1 - loss)^k.
// Its bytes, and with them all behind, come a round trip later (fast retransmit), the lost segment takes its place on
// the wire again, and the window is halved, at most once a round trip; it grows again by a segment a round trip (Reno).
// With a window below four segments there are no duplicate acknowledgements: the bytes come 200 ms later (the least
// retransmission timeout of Linux), and the window is one segment. A link without loss has a window that is open from
// the start: slow start is not modelled.
#pragma once

#include <deque>
#include <random>

#include "shape.hpp"

namespace vmsec::link {

inline constexpr std::size_t kSegment = 1460;
inline constexpr Duration kRetransmissionTimeout{200'000'000};
inline constexpr Duration kBurst{10'000'000};  // idle time is worth at most so much of the rate: the bucket's depth
inline constexpr Duration kQueue{1'000'000};   // what may wait to leave before no more is taken

class Wire {
 public:
  explicit Wire(const Shape& shape) : rate_(shape.rate) {}
  // When the next chunk may be taken; not after `now` where it may be at once.
  [[nodiscard]] Time opens() const { return rate_ == 0 ? Time::min() : free_ - kQueue; }
  // Takes bytes, and answers when the last of them has left.
  Time carry(Time now, std::size_t bytes);

 private:
  std::uint64_t rate_;
  Time free_ = Time(Duration::zero());  // when all that was taken has left
};

class Flow {
 public:
  Flow(const Shape& shape, std::uint64_t number);
  // How many bytes may be taken now.
  [[nodiscard]] std::size_t room() const { return window_ > under_way_ ? window_ - under_way_ : 0; }
  // Hands bytes to the wire, and answers when they arrive.
  Time send(Wire& wire, Time now, std::size_t bytes);
  // The receiver took them; the sender learns of it a delay later.
  void received(Time now, std::size_t bytes);
  void learn(Time now);
  // When it learns of the next.
  [[nodiscard]] Time learns() const { return acknowledgements_.empty() ? kNever : acknowledgements_.front().time; }
  [[nodiscard]] std::uint64_t losses() const { return losses_; }

 private:
  struct Acknowledgement {
    Time time;
    std::size_t bytes;
  };
  [[nodiscard]] Duration one_way();
  [[nodiscard]] bool is_hit(std::size_t bytes);
  Duration suffer(Wire& wire, Time now);

  Shape shape_;
  std::mt19937_64 random_;
  std::size_t most_;
  std::size_t window_;
  std::size_t under_way_ = 0;
  Time last_arrival_ = Time::min();
  Time recovered_ = Time::min();
  std::deque<Acknowledgement> acknowledgements_;
  std::uint64_t losses_ = 0;
};

}  // namespace vmsec::link
