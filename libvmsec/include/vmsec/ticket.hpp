// Migration tickets as a control plane makes them and hands them on.
//
// Needed are the placement key, both hosts' certificates, and the digest of the
// domain's configuration, for which the source's agent is asked:
//
//   VMSEC_TRY(const auto key, PlacementKey::open("placement.key"));
//   TicketOrder order;
//   order.domain = domain;
//   VMSEC_TRY(order.source, read_host_certificate("host-a.crt"));
//   VMSEC_TRY(order.destination, read_host_certificate("host-b.crt"));
//   VMSEC_TRY(request.ticket, issue_ticket(*control, key, order));
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "vmsec/control.hpp"
#include "vmsec/identity.hpp"

namespace vmsec {

// A host as its certificate file names it. Its form is checked; who signed it is
// not: both hosts do that. `invalid_argument` for what is no host's certificate.
VMSEC_EXPORT Result<PeerIdentity> read_host_certificate(const std::filesystem::path& file);

struct TicketOrder {
  Uuid domain;
  std::string configuration_digest;  // SHA-256 of DomainDescription::configuration
  PeerIdentity source;
  PeerIdentity destination;
  std::uint64_t seconds = 600;  // from now; at most kMaxTicketSeconds
};

// An encoded SignedTicket, as MigrateRequest takes it. Errors as PlacementKey::sign.
VMSEC_EXPORT Result<std::string> issue_ticket(const PlacementKey& key, const TicketOrder& order);

// The same, with the configuration as the source's agent describes it now.
// `invalid_argument` where `source` is another host than the order's. What the
// agent says goes into the ticket: ask an agent that you trust to host the domain.
VMSEC_EXPORT Result<std::string> issue_ticket(Control& source, const PlacementKey& key, TicketOrder order);

// A ticket as text that survives mail and copying, as `vmsec ticket create` writes
// it: base64 between BEGIN and END lines.
VMSEC_EXPORT std::string ticket_text(std::string_view ticket);
// Strict: exactly one ticket, nothing but white space around it.
// `invalid_argument` names the line.
VMSEC_EXPORT Result<std::string> parse_ticket_text(std::string_view text);

}  // namespace vmsec
