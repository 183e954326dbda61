#include "tickets.hpp"

#include "input.hpp"
#include "vmsec/ticket.hpp"
#include "vmsec/units.hpp"

namespace vmsec::cli {
namespace {

constexpr std::size_t kMaximumTicketFile = 64 << 10;

Result<std::string> digest_from(const std::string& hexadecimal_text) {
  const auto bad = fail(Code::invalid_argument, "--configuration-digest: want the 64 hexadecimal digits of a SHA-256");
  if (hexadecimal_text.size() != 64) return bad;
  std::string bytes;
  for (std::size_t i = 0; i < hexadecimal_text.size(); i += 2) {
    unsigned value = 0;
    for (const char c : hexadecimal_text.substr(i, 2)) {
      const auto digit = std::string_view("0123456789abcdef").find(c);
      if (digit == std::string_view::npos) return bad;
      value = value << 4 | static_cast<unsigned>(digit);
    }
    bytes += static_cast<char>(value);
  }
  return bytes;
}

// Without a digest in the wish, the source's agent is asked for the configuration.
Result<std::string> signed_ticket(Context& context, const TicketWish& wish, const PlacementKey& key,
                                  TicketOrder order) {
  if (wish.configuration_digest.empty()) {
    VMSEC_TRY(const auto source, context.control());
    VMSEC_TRY(const auto domain, find_domain(*source->open<DomainControl>(), wish.vm));
    order.domain = domain.domain;
    return issue_ticket(*source, key, std::move(order));
  }
  const auto uuid = Uuid::parse(wish.vm);
  if (!uuid) return fail(Code::invalid_argument, "--configuration-digest: then the VM must be named by its UUID");
  order.domain = *uuid;
  VMSEC_TRY(order.configuration_digest, digest_from(wish.configuration_digest));
  return issue_ticket(key, order);
}

}  // namespace

Result<NewTicket> make_ticket(Context& context, const TicketWish& wish) {
  VMSEC_TRY(const Microseconds ttl, parse_duration(wish.ttl));
  TicketOrder order;
  order.seconds = ttl.value / 1'000'000;
  if (order.seconds == 0 || order.seconds > kMaxTicketSeconds)
    return fail(Code::limit_exceeded, "make ticket: --ttl " + wish.ttl + " is not within 1 s to " +
                                          std::to_string(kMaxTicketSeconds / 3600) + " h");
  VMSEC_TRY(const PlacementKey key, PlacementKey::open(wish.placement_key));
  VMSEC_TRY(order.source, read_host_certificate(wish.source_certificate));
  VMSEC_TRY(order.destination, read_host_certificate(wish.destination_certificate));
  if (order.destination.name != wish.destination)
    return fail(Code::invalid_argument, "make ticket: the destination's certificate is \"" + order.destination.name +
                                            "\"'s, not \"" + wish.destination + "\"'s");
  VMSEC_TRY(std::string bytes, signed_ticket(context, wish, key, std::move(order)));
  VMSEC_TRY(TicketClaims claims, claims_of(bytes));
  return NewTicket{std::move(bytes), std::move(claims)};
}

Result<TicketClaims> claims_of(std::string_view ticket) {
  VMSEC_TRY(const auto signed_ticket, wire::decode<SignedTicket>(ticket));
  return wire::decode<TicketClaims>(signed_ticket.claims);
}

Result<std::string> read_ticket_file(const std::string& file) {
  VMSEC_TRY(const std::string text, read_input("ticket", file, kMaximumTicketFile));
  auto ticket = parse_ticket_text(text);
  if (!ticket) return fail(ticket.error().in(file));
  return ticket;
}

}  // namespace vmsec::cli
