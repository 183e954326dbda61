// The one connection between hosts: mutual TLS 1.3 with our authority's
// certificates, and length-framed messages over it.
//
// No older TLS, no resumption, no tickets, no 0-RTT; AES-GCM or ChaCha20 only;
// X25519 or P-256; ALPN "vmsec/1" at both ends; the peer's certificate and the
// revocation list are verified by HostIdentity at each handshake. connect() and
// accept() return only after *both* sides have accepted each other (the accepting
// side sends an empty first frame), so an error of either names its true cause.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "vmsec/export.hpp"
#include "vmsec/fd.hpp"
#include "vmsec/identity.hpp"
#include "vmsec/result.hpp"
#include "vmsec/types.hpp"

namespace vmsec::channel {

inline constexpr std::size_t kMaxFrame = 4 << 20;
inline constexpr std::string_view kProtocol = "vmsec/1";
inline constexpr Microseconds kHandshakeTimeout{10'000'000};
inline constexpr Microseconds kSendTimeout{30'000'000};
inline constexpr Microseconds kFrameTimeout{30'000'000};

struct Session;

// Our certificate and rules, for any number of connections. Copies share it. Any thread.
class VMSEC_EXPORT TlsContext {
 public:
  static Result<TlsContext> create(const HostIdentity& identity);
  [[nodiscard]] const HostIdentity& identity() const;

 private:
  friend class TlsConnection;
  friend struct Session;
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

// One connection. At a time one thread may be in receive(), and any number in
// send() (frames stay whole); shutdown(), close() and the plain getters from any
// thread; detach() and destruction while nobody else is in a call. SIGPIPE is
// never raised: the socket is written with MSG_NOSIGNAL.
class VMSEC_EXPORT TlsConnection {
 public:
  // address: "host:port", "1.2.3.4:port" or "[v6]:port". expected_name: of the
  // peer's certificate. `unavailable`: nobody there; `timeout`; `unauthenticated`,
  // `expired`, `tampered`: as HostIdentity::verify_peer, or the peer refuses us.
  static Result<std::unique_ptr<TlsConnection>> connect(const TlsContext& context, std::string_view address,
                                                        std::string_view expected_name,
                                                        Microseconds timeout = kHandshakeTimeout);
  // The same over a connected socket.
  static Result<std::unique_ptr<TlsConnection>> connect(const TlsContext& context, Fd socket,
                                                        std::string_view expected_name,
                                                        Microseconds timeout = kHandshakeTimeout);
  static Result<std::unique_ptr<TlsConnection>> accept(const TlsContext& context, Fd socket,
                                                       Microseconds timeout = kHandshakeTimeout);
  ~TlsConnection();  // without close(): the peer sees a cut connection
  TlsConnection(const TlsConnection&) = delete;
  TlsConnection& operator=(const TlsConnection&) = delete;

  // One frame: 4 bytes of length (big endian), then the bytes; at most kMaxFrame
  // (`limit_exceeded`, nothing sent). After any other error the connection is dead.
  Status send(std::string_view frame, Microseconds timeout = kSendTimeout);

  // The next frame. timeout 0: waits for as long as it takes. `timeout`: none
  // began in time, the connection lives on; a frame that began and does not end
  // within kFrameTimeout is an error too, and the connection is dead.
  // `unavailable`: the connection ended: ended_in_order() tells a close() by the
  // peer between two frames from a cut. `limit_exceeded`: a frame beyond
  // `limit` was announced; nothing was allocated. `tampered`: a record's seal
  // is wrong. `cancelled`: shutdown() or close() by our own side.
  Result<std::string> receive(Microseconds timeout = {}, std::size_t limit = kMaxFrame);

  // Says goodbye (close_notify) and ends the connection; as shutdown() otherwise.
  // Where a send is under way in another thread the peer sees a cut instead.
  void close();
  // Ends the connection at once; whoever waits in a call gets `cancelled`.
  void shutdown();

  // Verifies the peer's certificate anew, against the clock and the revocation
  // list of now. The connection stays as it is: the caller decides.
  [[nodiscard]] Status recheck_peer() const;

  [[nodiscard]] const std::string& peer_name() const;
  [[nodiscard]] const std::string& local_name() const;
  [[nodiscard]] const std::string& peer_certificate_digest() const;
  [[nodiscard]] const std::string& local_certificate_digest() const;
  [[nodiscard]] const std::string& peer_key_digest() const;
  // PeerContext::binding: 32 bytes, the same at both ends, and at no other connection's.
  [[nodiscard]] const std::string& binding() const;
  [[nodiscard]] std::string cipher() const;          // "TLS_AES_128_GCM_SHA256"
  [[nodiscard]] std::string remote_address() const;  // for messages
  [[nodiscard]] bool is_client() const;

  // RFC 8446 7.5. The label begins with "EXPORTER-vmsec-"; 1 to 255 bytes.
  // `wrong_state` after detach().
  Result<std::string> export_secret(std::string_view label, std::string_view context, std::size_t length) const;

  // Ends TLS and hands over the raw socket (blocking), without a byte lost.
  //
  // The rule: the connecting side sends its join frame and receives the answer;
  // the accepting side receives the join and sends the answer; then both detach
  // at once, without another send or receive. From there EITHER side may write
  // raw bytes first: what follows the join frame from the one, and the answer
  // from the other, is raw. It holds because OpenSSL reads exactly the record
  // that it needs (no read-ahead), and neither side sends anything but frames
  // after the handshake (no tickets, no key updates, no close_notify).
  // `wrong_state`: bytes of the peer are decrypted or buffered already, or a
  // send did not complete: the connection is then ended.
  Result<Fd> detach();

 private:
  explicit TlsConnection(std::unique_ptr<Session> session);
  std::unique_ptr<Session> session_;
};

// A receive() error that is the peer's orderly close().
VMSEC_EXPORT bool ended_in_order(const Error& error);

}  // namespace vmsec::channel
