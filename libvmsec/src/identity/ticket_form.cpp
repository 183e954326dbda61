#include "identity/ticket_form.hpp"

#include <algorithm>

namespace vmsec::identity {
namespace {

std::unexpected<Error> bad(std::string cause) { return fail(Code::invalid_argument, std::move(cause)); }

template <wire::Message T>
Result<T> decode_exactly(std::string_view bytes) {
  VMSEC_TRY(T message, wire::decode<T>(bytes));
  if (wire::encode(message) != bytes) return bad("decode " + std::string(T::kMessage) + ": not as a ticket is written");
  return message;
}

Status check_host(std::string_view role, std::string_view name, std::string_view key) {
  const auto good = check_host_name(name);
  if (!good) return bad(std::string(role) + ": " + good.error().message);
  if (key.size() != 32) return bad(std::string(role) + "_key: want 32 bytes");
  return {};
}

}  // namespace

Result<DecodedTicket> decode_ticket(std::string_view bytes) {
  if (bytes.size() > kMaxTicketBytes) return bad("larger than " + std::to_string(kMaxTicketBytes) + " bytes");
  DecodedTicket out;
  VMSEC_TRY(out.signed_ticket, decode_exactly<SignedTicket>(bytes));
  if (out.signed_ticket.claims.empty()) return bad("vmsec.SignedTicket.claims: missing");
  if (out.signed_ticket.signature.empty()) return bad("vmsec.SignedTicket.signature: missing");
  VMSEC_TRY(out.claims, decode_exactly<TicketClaims>(out.signed_ticket.claims));
  return out;
}

bool is_ticket_id(std::string_view id) {
  const auto digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return id.size() == 32 && std::all_of(id.begin(), id.end(), digit);
}

Status check_claims(const TicketClaims& claims) {
  if (!is_ticket_id(claims.id)) return bad("id: want 32 hexadecimal digits, lower case");
  if (claims.domain.is_nil()) return bad("domain: missing");
  if (claims.configuration_digest.size() != 32) return bad("configuration_digest: want 32 bytes");
  if (claims.placement_key.size() != 32) return bad("placement_key: want 32 bytes");
  VMSEC_CHECK(check_host("source", claims.source, claims.source_key));
  VMSEC_CHECK(check_host("destination", claims.destination, claims.destination_key));
  if (claims.source == claims.destination || claims.source_key == claims.destination_key)
    return bad("source and destination are the same host");
  if (claims.expires <= claims.not_before) return bad("expires: not after not_before");
  if (claims.expires.value - claims.not_before.value > kMaxTicketSeconds)
    return bad("valid for " + std::to_string(claims.expires.value - claims.not_before.value) + " s, at most " +
               std::to_string(kMaxTicketSeconds) + " s are allowed");
  return {};
}

}  // namespace vmsec::identity
