// vmsec.Authority: tickets, checked against the connection that they came over.
#pragma once

#include <optional>

#include "host/connections.hpp"
#include "vmsec/identity.hpp"
#include "vmsec/service/authority.hpp"

namespace vmsec::host {

class AuthorityService final : public Authority {
 public:
  AuthorityService(std::string module, HostIdentity identity, SpentTickets spent, Connections& connections)
      : module_(std::move(module)),
        identity_(std::move(identity)),
        spent_(std::move(spent)),
        connections_(connections) {}

  Result<TicketClaims> spend(const SpendTicket& request) override {
    VMSEC_TRY(const auto connection, connections_.find(request.connection, module_));
    VMSEC_CHECK(connection->tls->recheck_peer());
    TicketExpectation expected;
    expected.domain = request.domain;
    expected.configuration_digest = request.configuration_digest;
    expected.peer = connection->tls->peer_name();
    expected.peer_key = connection->tls->peer_key_digest();
    expected.direction = request.outgoing ? TicketDirection::outgoing : TicketDirection::incoming;
    VMSEC_TRY(TicketClaims claims, identity_.verify_ticket(request.ticket, expected, identity_.now()));
    VMSEC_CHECK(spent_.spend(claims));
    return claims;
  }

 private:
  const std::string module_;
  const HostIdentity identity_;
  const SpentTickets spent_;
  Connections& connections_;
};

}  // namespace vmsec::host
