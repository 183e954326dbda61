// Accepts connections: a bounded number of strangers at once, each for a bounded time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "channel/tls.hpp"
#include "vmsec/export.hpp"
#include "vmsec/result.hpp"

namespace vmsec::channel {

struct ListenerOptions {
  // Handshakes at once, of one origin (lobby.hpp) at most half of them. Strangers
  // beyond that wait in the lobby; those that say nothing take no handshake's place.
  std::uint32_t max_handshakes = 16;
  std::uint32_t max_strangers = 256;    // in the lobby
  std::uint32_t max_connections = 256;  // authenticated, whose handler runs
  std::uint32_t max_of_one_peer = 96;   // of those
  Microseconds first_byte_timeout{5'000'000};
  Microseconds handshake_timeout = kHandshakeTimeout;
  // While all places are taken and others wait, a handshake that has taken so long
  // is ended: of the origin that has the most of them.
  Microseconds patience{3'000'000};
};

class VMSEC_EXPORT Listener {
 public:
  // Called in a thread of its own, for as long as it likes: it owns the connection.
  using Handler = std::function<void(std::unique_ptr<TlsConnection>)>;
  // A stranger that was turned away: its address and why. For the audit log.
  using Refused = std::function<void(const std::string& address, const Error&)>;

  // address as for connect(); port 0 takes a free one: see address().
  static Result<std::unique_ptr<Listener>> start(const TlsContext& context, std::string_view address, Handler handler,
                                                 Refused refused = {}, const ListenerOptions& options = {});
  // The same on a listening socket that somebody else made.
  static Result<std::unique_ptr<Listener>> start(const TlsContext& context, Fd listening, Handler handler,
                                                 Refused refused = {}, const ListenerOptions& options = {});
  ~Listener();  // stop()
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  [[nodiscard]] const std::string& address() const;  // "127.0.0.1:41231", "[::1]:41231"

  // No more accepts; ends the handshakes under way and returns when all handlers
  // have: the owner of the connections shuts those down first. Not from a handler.
  void stop();

 private:
  struct Impl;
  explicit Listener(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vmsec::channel
