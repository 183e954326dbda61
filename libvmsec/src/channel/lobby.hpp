// Strangers who wait for a handshake: who is next, and who has waited long enough.
#pragma once

#include <poll.h>

#include <chrono>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "vmsec/export.hpp"
#include "vmsec/fd.hpp"

namespace vmsec::channel {

// Whom a stranger's share is counted with: its IPv4 address, or the first 64 bits
// of its IPv6 address, of which one customer has them all.
VMSEC_EXPORT std::string origin_of(int socket);

struct Stranger {
  using Time = std::chrono::steady_clock::time_point;
  Fd socket;
  std::string address;  // for messages
  std::string origin;
  Time speak_by;  // its first byte must be here
  Time ready_by;  // its handshake must have ended
  bool speaks = false;
};

// Costs a descriptor and no thread for each. The acceptor's alone.
class VMSEC_EXPORT Lobby {
 public:
  explicit Lobby(std::size_t places) : places_(places) {}

  // Where it is full, the origin with the most strangers loses its oldest: that one is answered.
  std::optional<Stranger> enter(Stranger stranger);
  // Those that are silent, for poll(); then hear() takes the answer.
  [[nodiscard]] std::vector<pollfd> silent() const;
  void hear(const std::vector<pollfd>& entries);
  // Takes out those whose time is up.
  std::vector<Stranger> expire(Stranger::Time now);
  // Takes out who is next: of those that speak, the oldest of the origin with the
  // fewest handshakes under way; none of an origin that has `most` of them.
  std::optional<Stranger> next(const std::map<std::string, std::uint32_t>& under_way, std::uint32_t most);
  [[nodiscard]] bool somebody_speaks() const;
  [[nodiscard]] std::optional<Stranger::Time> first_deadline() const;

 private:
  static Stranger::Time deadline_of(const Stranger& stranger);

  const std::size_t places_;
  std::list<Stranger> strangers_;  // the oldest first
};

}  // namespace vmsec::channel
