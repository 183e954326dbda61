// What a ticket must look like, before anybody asks whether it is true.
#pragma once

#include <string>
#include <string_view>

#include "vmsec/export.hpp"
#include "vmsec/identity.hpp"

namespace vmsec::identity {

struct DecodedTicket {
  SignedTicket signed_ticket;
  TicketClaims claims;
};

// Only the one encoding that we write: a claim that this version does not know
// might be a restriction, so it is refused rather than skipped.
VMSEC_EXPORT Result<DecodedTicket> decode_ticket(std::string_view bytes);

bool is_ticket_id(std::string_view id);
Status check_claims(const TicketClaims& claims);

}  // namespace vmsec::identity
