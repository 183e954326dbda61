#include "host/peer_server.hpp"

#include <set>

#include "host/peer_protocol.hpp"

namespace vmsec::host {
namespace {

constexpr Microseconds kHelloTimeout{10'000'000};
// What a peer may make us take memory for: a stream's payload and a name, and a
// domain's configuration with what belongs to it.
constexpr std::size_t kMaximumHello = 2 * kMaximumStreamPayload;
constexpr std::size_t kMaximumRequest = (1 << 20) + (256 << 10);
// PeerHandler's methods, as its table numbers them.
constexpr std::uint32_t kIncomingCall = 1;
constexpr std::uint32_t kIncomingStream = 2;
constexpr std::uint32_t kStreamReady = 3;
constexpr std::uint32_t kDisconnected = 4;
// A peer that asks for ever new names makes us remember no more than these.
constexpr std::size_t kMaximumModules = 32;
constexpr std::size_t kLongestModule = 64;

}  // namespace

template <class Reply, class Request>
Result<Reply> PeerServer::ask(const std::string& module, std::uint32_t method, Request&& request) {
  VMSEC_TRY(Packet reply, handler_(module, method, wire::pack(std::forward<Request>(request))));
  return wire::unpack<Reply>(std::move(reply));
}

Result<std::unique_ptr<PeerServer>> PeerServer::start(const channel::TlsContext& context, const std::string& address,
                                                      Connections& connections, CallHandler handler,
                                                      PeerRefused refused) {
  std::unique_ptr<PeerServer> server(new PeerServer(connections, std::move(handler), std::move(refused)));
  VMSEC_TRY(server->listener_,
            channel::Listener::start(
                context, address,
                [raw = server.get()](std::unique_ptr<channel::TlsConnection> tls) { raw->serve(std::move(tls)); },
                server->refused_));
  return server;
}

PeerServer::~PeerServer() {
  if (!listener_) return;
  connections_.shut_down_all();
  listener_->stop();
}

// A connection that ends is nobody's fault; one that is made to take too much is.
void PeerServer::refuse_oversized(const std::string& peer, const Error& error) const {
  if (error.code == Code::limit_exceeded) refused_(peer, error);
}

void PeerServer::serve(std::unique_ptr<channel::TlsConnection> tls) {
  auto frame = tls->receive(kHelloTimeout, kMaximumHello);
  if (!frame) return refuse_oversized(tls->peer_name(), frame.error());
  auto hello = wire::decode<Hello>(*frame);
  if (!hello) return refused_(tls->peer_name(), hello.error());
  switch (hello->purpose) {
    case Purpose::calls:
      return serve_calls(std::move(tls));
    case Purpose::stream:
      return serve_stream(*tls, hello->module, std::move(hello->payload));
    case Purpose::unknown:
      break;
  }
  refused_(tls->peer_name(), Error{Code::invalid_argument, "a first message without a purpose", 0, {}});
}

void PeerServer::serve_calls(std::unique_ptr<channel::TlsConnection> tls) {
  if (!tls->send(encode_answer(std::string()))) return;
  const auto connection = connections_.add(std::move(tls), {});
  std::set<std::string> modules;
  while (true) {
    auto frame = connection->tls->receive({}, kMaximumRequest);
    if (!frame) {
      refuse_oversized(connection->context.peer, frame.error());
      break;
    }
    // Revocation reaches open connections.
    if (const Status still = connection->tls->recheck_peer(); !still) {
      refused_(connection->context.peer, still.error());
      std::ignore = connection->tls->send(encode_answer(fail(still.error())));
      break;
    }
    const auto answer = [&]() -> Result<std::string> {
      VMSEC_TRY(PeerRequest request, wire::decode<PeerRequest>(*frame));
      if (request.module.size() > kLongestModule)
        return fail(Code::invalid_argument, "a module's name beyond 64 bytes");
      if (modules.size() < kMaximumModules && modules.insert(request.module).second)
        connections_.admit(*connection, request.module);
      IncomingCall call{connection->context, request.method, std::move(request.payload)};
      VMSEC_TRY(PeerReply reply, ask<PeerReply>(request.module, kIncomingCall, std::move(call)));
      return std::move(reply.payload);
    };
    if (!connection->tls->send(encode_answer(answer()))) break;
  }
  connections_.remove(connection->context.connection);
  // Whoever waits for this peer learns it; the answer is of no use any more.
  for (const std::string& module : modules) std::ignore = ask<Empty>(module, kDisconnected, connection->context);
}

void PeerServer::serve_stream(channel::TlsConnection& tls, const std::string& module, std::string payload) {
  const PeerContext from = context_of(tls, 0);
  if (payload.size() > kMaximumStreamPayload)
    return refused_(from.peer, Error{Code::limit_exceeded, "a stream's payload beyond 4 KiB", 0, {}});
  auto admitted = ask<PeerReply>(module, kIncomingStream, IncomingStream{from, payload});
  if (!admitted) {
    refused_(from.peer, admitted.error());
    std::ignore = tls.send(encode_answer(fail(admitted.error())));
    tls.close();
    return;
  }
  if (!tls.send(encode_answer(admitted->payload))) return;
  auto stream = take_stream(tls, admitted->payload);
  if (!stream) return refused_(from.peer, stream.error());
  auto ready = ask<Empty>(module, kStreamReady, StreamReady{from, std::move(*stream), std::move(payload)});
  if (!ready) refused_(from.peer, ready.error());
}

}  // namespace vmsec::host
