#include "identity/files.hpp"
#include "identity/impl.hpp"
#include "vmsec/capability/migration.hpp"
#include "vmsec/service/host_control.hpp"
#include "vmsec/ticket.hpp"

namespace vmsec {

Result<PeerIdentity> read_host_certificate(const std::filesystem::path& file) {
  const auto bad = [&](const Error& error) {
    return fail(Code::invalid_argument, "read certificate " + file.string() + ": " + error.message);
  };
  const auto pem = identity::read_file(file);
  if (!pem) return fail(pem.error());
  const auto certificate = identity::parse_certificate(*pem, "certificate");
  if (!certificate) return bad(certificate.error());
  auto host = identity::describe(certificate->get());
  if (!host) return bad(host.error());
  return host;
}

Result<std::string> issue_ticket(const PlacementKey& key, const TicketOrder& order) {
  TicketClaims claims;
  claims.domain = order.domain;
  claims.configuration_digest = order.configuration_digest;
  claims.source = order.source.name;
  claims.source_key = order.source.key_digest;
  claims.destination = order.destination.name;
  claims.destination_key = order.destination.key_digest;
  claims.not_before = system_now();
  claims.expires = UnixSeconds{claims.not_before.value + order.seconds};
  return key.sign(std::move(claims));
}

Result<std::string> issue_ticket(Control& source, const PlacementKey& key, TicketOrder order) {
  VMSEC_TRY(const HostInfo host, source.open<HostControl>()->info({}));
  if (host.name != order.source.name)
    return fail(Code::invalid_argument, "issue ticket: the source's certificate is \"" + order.source.name +
                                            "\"'s, the agent asked is \"" + printable(host.name) + "\"'s");
  VMSEC_TRY(const auto description, source.open<Migration>()->describe({order.domain}));
  order.configuration_digest = identity::sha256(description.configuration);
  return issue_ticket(key, order);
}

}  // namespace vmsec
