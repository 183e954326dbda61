#include "host/peers_service.hpp"

#include <algorithm>

#include "host/peer_protocol.hpp"

namespace vmsec::host {
namespace {

constexpr Microseconds kDefaultTimeout{30'000'000};
// However long a module would wait: its end waits for that, too.
constexpr Microseconds kLongestTimeout{3'600'000'000};

}  // namespace

PeersService::PeersService(std::string module, std::optional<channel::TlsContext> context,
                           std::map<std::string, std::string> peers, Connections& connections)
    : module_(std::move(module)), context_(std::move(context)), peers_(std::move(peers)), connections_(connections) {}

Result<std::unique_ptr<channel::TlsConnection>> PeersService::dial(const std::string& host) {
  if (!context_)
    return fail(Code::wrong_state, "connect to host \"" + host + "\": this host has no identity (vmsec pki)");
  const auto peer = peers_.find(host);
  if (peer == peers_.end())
    return fail(Code::not_found, "connect to host \"" + host + "\": no [[peer]] of this name is configured");
  return channel::TlsConnection::connect(*context_, peer->second, host);
}

Result<PeerContext> PeersService::connect(const ConnectPeer& request) {
  VMSEC_TRY(auto tls, dial(request.host));
  // Known from now on, so that the module's end reaches it, also where the peer says nothing.
  const auto connection = connections_.add(std::move(tls), module_);
  const Status greeted = greet(*connection->tls);
  if (greeted) return connection->context;
  connections_.remove(connection->context.connection);
  return fail(greeted.error());
}

Status PeersService::greet(channel::TlsConnection& tls) {
  VMSEC_CHECK(tls.send(wire::encode(Hello{Purpose::calls, {}, {}})));
  VMSEC_TRY(const std::string frame, tls.receive(kDefaultTimeout));
  VMSEC_TRY(const std::string unused, decode_answer(frame));
  return {};
}

// On a connection that the peer opened, the peer asks and we answer.
Result<std::shared_ptr<Connection>> PeersService::outgoing(std::uint64_t number) {
  VMSEC_TRY(auto connection, connections_.find(number, module_));
  if (connection->owner.empty())
    return fail(Code::wrong_state, "call on connection " + std::to_string(number) + ": host " +
                                       connection->context.peer + " opened it, and it asks");
  return connection;
}

Result<PeerReply> PeersService::call(const CallPeer& request) {
  VMSEC_TRY(const auto connection, outgoing(request.connection));
  const std::lock_guard turn(connection->turn);
  VMSEC_CHECK(connection->tls->send(wire::encode(PeerRequest{module_, request.method, request.payload})));
  const Microseconds timeout =
      request.timeout.value == 0 ? kDefaultTimeout : std::min(request.timeout, kLongestTimeout);
  auto frame = connection->tls->receive(timeout);
  if (!frame) {
    // The answer may still come: nobody may take it for the answer to another request.
    connection->tls->shutdown();
    connections_.remove(request.connection);
    return fail(frame.error().in("call " + module_ + " on host " + connection->context.peer));
  }
  VMSEC_TRY(std::string payload, decode_answer(*frame));
  return PeerReply{std::move(payload)};
}

Result<StreamEnd> PeersService::open_stream(const OpenStream& request) {
  if (request.payload.size() > kMaximumStreamPayload)
    return fail(Code::limit_exceeded,
                "open a stream: a payload of " + std::to_string(request.payload.size()) + " bytes exceeds 4 KiB");
  VMSEC_TRY(const auto connection, outgoing(request.connection));
  VMSEC_TRY(auto tls, dial(connection->context.peer));
  if (tls->peer_key_digest() != connection->tls->peer_key_digest())
    return fail(Code::unauthenticated, "open a stream to host " + connection->context.peer +
                                           ": it answers with another key than on the first connection");
  VMSEC_CHECK(tls->send(wire::encode(Hello{Purpose::stream, module_, request.payload})));
  VMSEC_TRY(const std::string frame, tls->receive(kDefaultTimeout));
  VMSEC_TRY(std::string payload, decode_answer(frame));
  return take_stream(*tls, std::move(payload));
}

Result<PeerContext> PeersService::check(const ConnectionRef& request) {
  VMSEC_TRY(const auto connection, connections_.find(request.connection, module_));
  VMSEC_CHECK(connection->tls->recheck_peer());
  return connection->context;
}

Result<Empty> PeersService::close(const ConnectionRef& request) {
  auto connection = connections_.find(request.connection, module_);
  if (!connection && connection.error().code == Code::denied) return fail(connection.error().in("close"));
  if (!connection) return Empty{};
  if ((*connection)->owner != module_)
    return fail(Code::denied,
                "close connection " + std::to_string(request.connection) + ": module " + module_ + " did not open it");
  (*connection)->tls->shutdown();
  connections_.remove(request.connection);
  return Empty{};
}

}  // namespace vmsec::host
