// Migration tickets: may this domain move from here to there?
#pragma once

#include <string>

#include "vmsec/interface.hpp"

namespace vmsec {

// What a ticket allows, once. Signed by a placement key of the control plane,
// which is never a host's key.
struct TicketClaims {
  std::string id;  // 32 hexadecimal digits, random
  Uuid domain;
  std::string configuration_digest;  // SHA-256 of DomainDescription::configuration
  std::string source;                // host names, and the SHA-256 of their public keys (SPKI, DER)
  std::string source_key;
  std::string destination;
  std::string destination_key;
  UnixSeconds not_before;
  UnixSeconds expires;
  std::string placement_key;  // SHA-256 of the signing key's SPKI
  static constexpr std::string_view kMessage = "vmsec.TicketClaims";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "id", &TicketClaims::id), wire::field(2, "domain", &TicketClaims::domain),
        wire::field(3, "configuration_digest", &TicketClaims::configuration_digest),
        wire::field(4, "source", &TicketClaims::source), wire::field(5, "source_key", &TicketClaims::source_key),
        wire::field(6, "destination", &TicketClaims::destination),
        wire::field(7, "destination_key", &TicketClaims::destination_key),
        wire::field(8, "not_before", &TicketClaims::not_before), wire::field(9, "expires", &TicketClaims::expires),
        wire::field(10, "placement_key", &TicketClaims::placement_key));
  }
};

struct SignedTicket {
  std::string claims;  // an encoded TicketClaims; the signature is over a label and these bytes
  std::string signature;
  static constexpr std::string_view kMessage = "vmsec.SignedTicket";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "claims", &SignedTicket::claims),
                        wire::field(2, "signature", &SignedTicket::signature));
  }
};

struct SpendTicket {
  std::string ticket;  // an encoded SignedTicket
  Uuid domain;
  std::string configuration_digest;
  std::uint64_t connection = 0;  // the peer at the other end of it must be the ticket's
  bool outgoing = false;         // true: we are the source
  static constexpr std::string_view kMessage = "vmsec.SpendTicket";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "ticket", &SpendTicket::ticket), wire::field(2, "domain", &SpendTicket::domain),
                        wire::field(3, "configuration_digest", &SpendTicket::configuration_digest),
                        wire::field(4, "connection", &SpendTicket::connection),
                        wire::field(5, "outgoing", &SpendTicket::outgoing));
  }
};

// The core's side, called by modules. Any thread.
class Authority {
 public:
  virtual ~Authority() = default;
  // Verifies everything that the ticket claims against the connection and the
  // call, and spends its id durably: a second call for it on this host answers
  // `denied`. Errors: `denied` (no such placement key, a host's own key, another
  // domain, configuration or host, spent), `tampered` (signature), `expired`,
  // `invalid_argument` (not a ticket), or as Peers::check() where the peer's
  // certificate is not good any more. Nothing is spent after an error.
  virtual Result<TicketClaims> spend(const SpendTicket&) = 0;
};

template <>
struct Methods<Authority> {
  static constexpr std::string_view kName = "vmsec.Authority";
  static constexpr auto table() { return std::make_tuple(method(1, "Spend", &Authority::spend)); }
};

template <>
class Proxy<Authority> final : public Remote<Authority> {
 public:
  using Remote::Remote;
  Result<TicketClaims> spend(const SpendTicket& r) override { return invoke<1>(r); }
};

}  // namespace vmsec
