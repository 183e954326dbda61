// One direction of one connection: takes from one socket as the model lets it, holds the bytes for as long as the link
// takes, gives them to the other.
#pragma once

#include <vector>

#include "wire.hpp"

namespace vmsec::link {

class Pump {
 public:
  Pump(int in, int out, const Shape& shape, std::uint64_t number, Time begin)
      : in_(in), out_(out), most_(shape.chunk()), delay_(shape.delay), flow_(shape, number), begin_(begin) {}

  // Takes at most one chunk and gives what has arrived; whether there was any.
  bool step(Wire& wire, Time now);
  // When there is something to do without an event of a socket.
  [[nodiscard]] Time wakes(const Wire& wire) const;
  // Something happened to a socket.
  void stir() { readable_ = writable_ = true; }
  // All was given, and the end too; or nobody takes it any more.
  [[nodiscard]] bool is_over() const { return over_; }
  // A socket broke, rather than ended.
  [[nodiscard]] bool is_cut() const { return cut_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t losses() const { return flow_.losses(); }

 private:
  struct Chunk {
    Time arrival;
    std::vector<char> bytes;
    std::size_t given = 0;
  };
  [[nodiscard]] bool may_take() const { return readable_ && !ended_ && flow_.room() >= kSegment; }
  bool take(Wire& wire, Time now);
  bool give(Time now);
  bool give_end(Time now);
  void end(Time now);
  void cut();
  std::vector<char> empty_chunk();

  int in_;
  int out_;
  std::size_t most_;
  Duration delay_;
  Flow flow_;
  Time begin_;  // nothing leaves before: the handshake's round trip
  std::deque<Chunk> held_;
  std::vector<std::vector<char>> spare_;
  Time end_ = kNever;  // when the sender's end arrives
  Time last_ = Time::min();
  bool readable_ = true;
  bool writable_ = true;
  bool ended_ = false;
  bool over_ = false;
  bool cut_ = false;
  std::uint64_t bytes_ = 0;
};

}  // namespace vmsec::link
