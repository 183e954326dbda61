// Talking to the same module on another host, over the one mutual TLS 1.3 channel.
#pragma once

#include <string>

#include "vmsec/interface.hpp"

namespace vmsec {

// Who is at the other end of a connection, as the core has verified it.
struct PeerContext {
  std::string peer;              // the host's name, from its certificate
  std::string local;             // our own
  std::string peer_certificate;  // SHA-256 of its DER form
  std::string local_certificate;
  std::uint64_t connection = 0;  // of this process
  // SHA-256 over a label, this connection's TLS exporter value (RFC 8446 7.5)
  // and both certificates' digests (the connecting side's first): the same 32
  // bytes at both ends, and at no other connection's.
  std::string binding;
  static constexpr std::string_view kMessage = "vmsec.PeerContext";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "peer", &PeerContext::peer), wire::field(2, "local", &PeerContext::local),
                        wire::field(3, "peer_certificate", &PeerContext::peer_certificate),
                        wire::field(4, "local_certificate", &PeerContext::local_certificate),
                        wire::field(5, "connection", &PeerContext::connection),
                        wire::field(6, "binding", &PeerContext::binding));
  }
};

struct ConnectPeer {
  std::string host;  // a [[peer]] of this host's configuration
  static constexpr std::string_view kMessage = "vmsec.ConnectPeer";
  static constexpr auto fields() { return wire::fields(wire::field(1, "host", &ConnectPeer::host)); }
};

struct ConnectionRef {
  std::uint64_t connection = 0;
  static constexpr std::string_view kMessage = "vmsec.ConnectionRef";
  static constexpr auto fields() { return wire::fields(wire::field(1, "connection", &ConnectionRef::connection)); }
};

struct CallPeer {
  std::uint64_t connection = 0;
  std::uint32_t method = 0;  // the module's own numbering
  std::string payload;
  Microseconds timeout;  // 0: 30 s; at most 1 h
  static constexpr std::string_view kMessage = "vmsec.CallPeer";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "connection", &CallPeer::connection),
                        wire::field(2, "method", &CallPeer::method), wire::field(3, "payload", &CallPeer::payload),
                        wire::field(4, "timeout", &CallPeer::timeout));
  }
};

struct PeerReply {
  std::string payload;
  static constexpr std::string_view kMessage = "vmsec.PeerReply";
  static constexpr auto fields() { return wire::fields(wire::field(1, "payload", &PeerReply::payload)); }
};

struct OpenStream {
  std::uint64_t connection = 0;  // the stream goes to the same peer
  std::string payload;           // at most 4 KiB: what proves that it may join
  static constexpr std::string_view kMessage = "vmsec.OpenStream";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "connection", &OpenStream::connection),
                        wire::field(2, "payload", &OpenStream::payload));
  }
};

// A connection of its own: a fresh mutual TLS 1.3 handshake, then the raw socket
// and keys for records of the module's own. TLS has ended on it; whoever holds
// it must protect every byte with the keys.
struct StreamEnd {
  Fd fd;
  std::string send_secret;     // 32 bytes, from this connection's exporter, for what we send
  std::string receive_secret;  // 32 bytes, for what we receive
  std::string payload;         // the peer's answer
  static constexpr std::string_view kMessage = "vmsec.StreamEnd";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "fd", &StreamEnd::fd), wire::field(2, "send_secret", &StreamEnd::send_secret),
                        wire::field(3, "receive_secret", &StreamEnd::receive_secret),
                        wire::field(4, "payload", &StreamEnd::payload));
  }
};

// The core's side, called by modules. Any thread, at once; calls on one
// connection take turns. A call reaches the module of the caller's own name on
// the peer. A connection is used by the module that opened it, and by one that it
// asks something about it (CallModule::connection), until that has answered: so a
// quote is bound to the connection that it protects. One that the peer opened is
// used by the modules that the peer calls over it. To others it is `denied`. Only
// the module that opened it closes it. `not_found` for a
// host that is not configured, `unavailable` when it cannot be reached or the
// connection broke, `unauthenticated` when its certificate does not verify
// (wrong authority, expired, revoked, another host's name), `expired` when the
// revocation list is stale.
class Peers {
 public:
  virtual ~Peers() = default;
  virtual Result<PeerContext> connect(const ConnectPeer&) = 0;
  // Answers what the peer's module answered, its errors included.
  virtual Result<PeerReply> call(const CallPeer&) = 0;
  virtual Result<StreamEnd> open_stream(const OpenStream&) = 0;
  // The peer's certificate is verified anew: revocation reaches open connections.
  virtual Result<PeerContext> check(const ConnectionRef&) = 0;
  virtual Result<Empty> close(const ConnectionRef&) = 0;
};

template <>
struct Methods<Peers> {
  static constexpr std::string_view kName = "vmsec.Peers";
  static constexpr auto table() {
    return std::make_tuple(method(1, "Connect", &Peers::connect), method(2, "Call", &Peers::call),
                           method(3, "OpenStream", &Peers::open_stream), method(4, "Check", &Peers::check),
                           method(5, "Close", &Peers::close));
  }
};

template <>
class Proxy<Peers> final : public Remote<Peers> {
 public:
  using Remote::Remote;
  Result<PeerContext> connect(const ConnectPeer& r) override { return invoke<1>(r); }
  Result<PeerReply> call(const CallPeer& r) override { return invoke<2>(r); }
  Result<StreamEnd> open_stream(const OpenStream& r) override { return invoke<3>(r); }
  Result<PeerContext> check(const ConnectionRef& r) override { return invoke<4>(r); }
  Result<Empty> close(const ConnectionRef& r) override { return invoke<5>(r); }
};

struct IncomingCall {
  PeerContext from;
  std::uint32_t method = 0;
  std::string payload;
  static constexpr std::string_view kMessage = "vmsec.IncomingCall";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "from", &IncomingCall::from), wire::field(2, "method", &IncomingCall::method),
                        wire::field(3, "payload", &IncomingCall::payload));
  }
};

struct IncomingStream {
  PeerContext from;  // the stream's own connection
  std::string payload;
  static constexpr std::string_view kMessage = "vmsec.IncomingStream";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "from", &IncomingStream::from),
                        wire::field(2, "payload", &IncomingStream::payload));
  }
};

// A stream was admitted; `stream.payload` is the answer that was sent.
struct StreamReady {
  PeerContext from;
  StreamEnd stream;
  std::string payload;  // of the IncomingStream
  static constexpr std::string_view kMessage = "vmsec.StreamReady";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "from", &StreamReady::from), wire::field(2, "stream", &StreamReady::stream),
                        wire::field(3, "payload", &StreamReady::payload));
  }
};

// The module's side, called by the core, from several threads at once.
class PeerHandler {
 public:
  virtual ~PeerHandler() = default;
  virtual Result<PeerReply> incoming_call(const IncomingCall&) = 0;
  // Admit or refuse a stream; the answer's payload goes to the peer (4 KiB at most).
  virtual Result<PeerReply> incoming_stream(const IncomingStream&) = 0;
  // The admitted stream's socket and keys. Answers at once; carries on in threads of its own.
  virtual Result<Empty> stream_ready(const StreamReady&) = 0;
  // The connection ended, in order or not.
  virtual Result<Empty> disconnected(const PeerContext&) = 0;
};

template <>
struct Methods<PeerHandler> {
  static constexpr std::string_view kName = "vmsec.PeerHandler";
  static constexpr auto table() {
    return std::make_tuple(method(1, "IncomingCall", &PeerHandler::incoming_call),
                           method(2, "IncomingStream", &PeerHandler::incoming_stream),
                           method(3, "StreamReady", &PeerHandler::stream_ready),
                           method(4, "Disconnected", &PeerHandler::disconnected));
  }
};

template <>
class Proxy<PeerHandler> final : public Remote<PeerHandler> {
 public:
  using Remote::Remote;
  Result<PeerReply> incoming_call(const IncomingCall& r) override { return invoke<1>(r); }
  Result<PeerReply> incoming_stream(const IncomingStream& r) override { return invoke<2>(r); }
  Result<Empty> stream_ready(const StreamReady& r) override { return invoke<3>(r); }
  Result<Empty> disconnected(const PeerContext& r) override { return invoke<4>(r); }
};

}  // namespace vmsec
