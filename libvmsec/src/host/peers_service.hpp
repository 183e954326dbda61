// vmsec.Peers: one module's connections to its twin on other hosts.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "host/connections.hpp"
#include "vmsec/export.hpp"

namespace vmsec::host {

class VMSEC_EXPORT PeersService final : public Peers {
 public:
  // `context` is absent on a host without a configured identity.
  PeersService(std::string module, std::optional<channel::TlsContext> context, std::map<std::string, std::string> peers,
               Connections& connections);
  Result<PeerContext> connect(const ConnectPeer&) override;
  Result<PeerReply> call(const CallPeer&) override;
  Result<StreamEnd> open_stream(const OpenStream&) override;
  Result<PeerContext> check(const ConnectionRef&) override;
  Result<Empty> close(const ConnectionRef&) override;

 private:
  Result<std::unique_ptr<channel::TlsConnection>> dial(const std::string& host);
  static Status greet(channel::TlsConnection& tls);
  Result<std::shared_ptr<Connection>> outgoing(std::uint64_t number);

  const std::string module_;
  const std::optional<channel::TlsContext> context_;
  const std::map<std::string, std::string> peers_;
  Connections& connections_;
};

}  // namespace vmsec::host
