// Making tickets for `ticket create` and `migrate --placement-key`, and reading their files.
#pragma once

#include <string>

#include "context.hpp"
#include "vmsec/service/authority.hpp"

namespace vmsec::cli {

struct TicketWish {
  std::string placement_key;
  std::string source_certificate;
  std::string destination_certificate;
  std::string destination;  // must be the destination certificate's host
  std::string ttl = "10min";
  std::string vm;                    // name or UUID
  std::string configuration_digest;  // hexadecimal; empty: asked of the source
};

struct NewTicket {
  std::string bytes;  // an encoded SignedTicket
  TicketClaims claims;
};

// Asks the source's agent for the configuration, unless the wish has its digest
// and a UUID: then no host is needed.
Result<NewTicket> make_ticket(Context& context, const TicketWish& wish);

Result<TicketClaims> claims_of(std::string_view ticket);
Result<std::string> read_ticket_file(const std::string& file);

}  // namespace vmsec::cli
