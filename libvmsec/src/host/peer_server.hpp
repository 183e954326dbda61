// Answers other hosts' agents: each request is for one module's PeerHandler.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "channel/listener.hpp"
#include "host/connections.hpp"
#include "vmsec/export.hpp"

namespace vmsec::host {

// Calls the named module's PeerHandler; `not_found` where it has none.
using CallHandler = std::function<Result<Packet>(const std::string& module, std::uint32_t method, Packet)>;
// A connection that was refused: who, and why.
using PeerRefused = std::function<void(const std::string& peer, const Error&)>;

class VMSEC_EXPORT PeerServer {
 public:
  static Result<std::unique_ptr<PeerServer>> start(const channel::TlsContext& context, const std::string& address,
                                                   Connections& connections, CallHandler handler, PeerRefused refused);
  ~PeerServer();
  [[nodiscard]] const std::string& address() const { return listener_->address(); }

 private:
  PeerServer(Connections& connections, CallHandler handler, PeerRefused refused)
      : connections_(connections), handler_(std::move(handler)), refused_(std::move(refused)) {}
  void serve(std::unique_ptr<channel::TlsConnection> tls);
  void refuse_oversized(const std::string& peer, const Error& error) const;
  void serve_calls(std::unique_ptr<channel::TlsConnection> tls);
  void serve_stream(channel::TlsConnection& tls, const std::string& module, std::string payload);

  template <class Reply, class Request>
  Result<Reply> ask(const std::string& module, std::uint32_t method, Request&& request);

  Connections& connections_;
  const CallHandler handler_;
  const PeerRefused refused_;
  std::unique_ptr<channel::Listener> listener_;
};

}  // namespace vmsec::host
