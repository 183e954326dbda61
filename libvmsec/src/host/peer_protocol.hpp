// What the first frames between two agents say (proto/vmsec/peer.proto).
#pragma once

#include <string>

#include "channel/tls.hpp"
#include "vmsec/service/error_reply.hpp"
#include "vmsec/service/peers.hpp"
#include "vmsec/wire.hpp"

namespace vmsec::host {

enum class Purpose : std::uint32_t {
  unknown = 0,
  calls = 1,   // requests and answers, in turn, until the connection ends
  stream = 2,  // one exchange of payloads, then TLS ends and the socket is the modules'
};

// The connecting side's first frame.
struct Hello {
  Purpose purpose = Purpose::unknown;
  std::string module;   // of a stream: each request names its own
  std::string payload;  // of a stream
  static constexpr std::string_view kMessage = "vmsec.peer.Hello";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "purpose", &Hello::purpose), wire::field(2, "module", &Hello::module),
                        wire::field(3, "payload", &Hello::payload));
  }
};

struct PeerRequest {
  std::string module;
  std::uint32_t method = 0;
  std::string payload;
  static constexpr std::string_view kMessage = "vmsec.peer.Request";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "module", &PeerRequest::module), wire::field(2, "method", &PeerRequest::method),
                        wire::field(3, "payload", &PeerRequest::payload));
  }
};

struct PeerAnswer {
  std::optional<ErrorReply> error;  // absent: it succeeded
  std::string payload;
  static constexpr std::string_view kMessage = "vmsec.peer.Answer";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "error", &PeerAnswer::error), wire::field(2, "payload", &PeerAnswer::payload));
  }
};

inline constexpr std::size_t kMaximumStreamPayload = 4096;

inline std::string encode_answer(Result<std::string> payload) {
  if (payload) return wire::encode(PeerAnswer{std::nullopt, std::move(*payload)});
  return wire::encode(PeerAnswer{ErrorReply::from(payload.error()), {}});
}

inline Result<std::string> decode_answer(std::string_view frame) {
  VMSEC_TRY(PeerAnswer answer, wire::decode<PeerAnswer>(frame));
  if (answer.error) return fail(answer.error->error());
  return std::move(answer.payload);
}

// Ends TLS on a stream's connection; both ends derive the same two secrets from
// its exporter, one per direction.
inline Result<StreamEnd> take_stream(channel::TlsConnection& tls, std::string payload) {
  VMSEC_TRY(std::string from_client, tls.export_secret("EXPORTER-vmsec-stream-from-client", {}, 32));
  VMSEC_TRY(std::string from_server, tls.export_secret("EXPORTER-vmsec-stream-from-server", {}, 32));
  const bool client = tls.is_client();
  StreamEnd end;
  VMSEC_TRY(end.fd, tls.detach());
  end.send_secret = client ? from_client : from_server;
  end.receive_secret = client ? from_server : from_client;
  end.payload = std::move(payload);
  return end;
}

}  // namespace vmsec::host
