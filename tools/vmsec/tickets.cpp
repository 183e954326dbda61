#include "tickets.hpp"

#include <fstream>
#include <iterator>

#include "armor.hpp"
#include "certificate.hpp"
#include "vmsec/capability/migration.hpp"
#include "vmsec/identity.hpp"
#include "vmsec/service/host_control.hpp"
#include "vmsec/units.hpp"

namespace vmsec::cli {
namespace {

struct Subject {
  Uuid domain;
  std::string configuration_digest;
};

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

Result<Subject> subject_of(Context& context, const TicketWish& wish, const NamedKey& source) {
  if (!wish.configuration_digest.empty()) {
    VMSEC_TRY(std::string digest, digest_from(wish.configuration_digest));
    if (auto uuid = Uuid::parse(wish.vm)) return Subject{*uuid, std::move(digest)};
    return fail(Code::invalid_argument, "--configuration-digest: then the VM must be named by its UUID");
  }
  VMSEC_TRY(const auto host, context.open<HostControl>());
  VMSEC_TRY(const HostInfo info, host->info({}));
  if (info.name != source.name)
    return fail(Code::invalid_argument, "make ticket: the source's certificate is \"" + source.name +
                                            "\"'s, the agent asked is \"" + info.name + "\"'s");
  VMSEC_TRY(const auto domains, context.open<DomainControl>());
  VMSEC_TRY(const auto domain, find_domain(*domains, wish.vm));
  VMSEC_TRY(const auto migration, context.open<Migration>());
  VMSEC_TRY(const auto description, migration->describe(DomainRef{domain.domain}));
  VMSEC_TRY(std::string digest, sha256(description.configuration));
  return Subject{domain.domain, std::move(digest)};
}

}  // namespace

Result<NewTicket> make_ticket(Context& context, const TicketWish& wish) {
  VMSEC_TRY(const Microseconds ttl, parse_duration(wish.ttl));
  const std::uint64_t seconds = ttl.value / 1'000'000;
  if (seconds == 0 || seconds > kMaxTicketSeconds)
    return fail(Code::limit_exceeded, "make ticket: --ttl " + wish.ttl + " is not within 1 s to " +
                                          std::to_string(kMaxTicketSeconds / 3600) + " h");
  VMSEC_TRY(const PlacementKey key, PlacementKey::open(wish.placement_key));
  VMSEC_TRY(const NamedKey source, read_host_certificate(wish.source_certificate));
  VMSEC_TRY(const NamedKey destination, read_host_certificate(wish.destination_certificate));
  if (destination.name != wish.destination)
    return fail(Code::invalid_argument, "make ticket: the destination's certificate is \"" + destination.name +
                                            "\"'s, not \"" + wish.destination + "\"'s");
  VMSEC_TRY(const Subject subject, subject_of(context, wish, source));
  TicketClaims claims;
  claims.domain = subject.domain;
  claims.configuration_digest = subject.configuration_digest;
  claims.source = source.name;
  claims.source_key = source.key.digest();
  claims.destination = destination.name;
  claims.destination_key = destination.key.digest();
  claims.not_before = system_now();
  claims.expires = UnixSeconds{claims.not_before.value + seconds};
  VMSEC_TRY(std::string bytes, key.sign(claims));
  VMSEC_TRY(claims, claims_of(bytes));
  return NewTicket{std::move(bytes), std::move(claims)};
}

Result<TicketClaims> claims_of(std::string_view ticket) {
  VMSEC_TRY(const auto signed_ticket, wire::decode<SignedTicket>(ticket));
  return wire::decode<TicketClaims>(signed_ticket.claims);
}

Result<std::string> read_ticket_file(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (!in) return fail(Code::invalid_argument, "read ticket " + file + ": cannot read it");
  auto ticket = dearmor(text);
  if (!ticket) return fail(ticket.error().in(file));
  return ticket;
}

}  // namespace vmsec::cli
