// Frames over a Unix socket, with descriptors: 4 bytes of length (big endian), the
// encoded Frame, and its descriptors with the first byte. Both ends use this; what
// comes from the other one is bounded and checked here. Descriptors go from the host to
// a worker and never back: half a frame would hold them here for as long as it likes.
#pragma once

#include <array>
#include <vector>

#include "rpc/descriptors.hpp"
#include "vmsec/fd.hpp"
#include "worker/messages.hpp"

namespace vmsec::worker {

inline constexpr std::size_t kMaximumToWorker = 17 << 20;
inline constexpr std::size_t kMaximumFromWorker = 4 << 20;
using rpc::kMaximumDescriptors;  // of a frame

// Who is at the other end: what it may send at most.
enum class Other : std::uint32_t { host, worker };

struct Message {
  Frame frame;
  std::vector<Fd> fds;
};

// The reply that carries an answer or an error.
Message reply_of(Result<Packet> result);

// A stream socket. One thread at a time per direction; shut() from any.
class Line {
 public:
  Line(Fd socket, Other other) : socket_(std::move(socket)), other_(other) {}

  // Waits until all is sent: `unavailable` when the other end is gone or shut() was
  // called, `limit_exceeded` for what is too large, or brings descriptors to the host: of
  // that nothing was sent then.
  Status send(Frame frame, const std::vector<Fd>& fds = {});
  // Waits for the first byte of a frame, or the line's end, and takes nothing.
  void await();
  // Waits for a whole frame. `unavailable` as above; `invalid_argument` when the other
  // end broke the rules: the message names the rule, and the line is of no use any more.
  Result<Message> receive();
  // Ends both, whoever waits in them.
  void shut();

 private:
  Result<std::size_t> size_of(std::string_view head) const;
  Status receive_more(std::string& bytes, std::size_t whole);
  void look_for_a_moment();

  Fd socket_;
  const Other other_;
  std::array<char, 4096> small_{};
  std::uint32_t skip_ = 0;     // how often it is not looked before one sleeps
  std::uint32_t penalty_ = 0;  // and how often after the next time that it was for nothing
};

struct LinePair {
  Fd near;
  Fd far;
};
Result<LinePair> line_pair();

// The control socket keeps frames apart by itself (SOCK_SEQPACKET): half a frame never
// makes anybody wait.
Result<LinePair> control_pair();
inline constexpr std::size_t kMaximumControl = 16 << 10;
enum class Wait : std::uint32_t { until_sent, not_at_all };
// `timeout`: it cannot be sent without waiting.
Status send_control(const Fd& socket, Frame frame, const std::vector<Fd>& fds = {}, Wait wait = Wait::until_sent);
enum class Descriptors : std::uint32_t { none, taken };
// Waits for one. Errors as Line::receive().
Result<Message> receive_control(const Fd& socket, Descriptors descriptors);

// What a frame's bytes (without their length) and its descriptors say, or the rule that they break.
Result<Message> decode_frame(std::string_view bytes, std::vector<Fd> fds);

}  // namespace vmsec::worker
