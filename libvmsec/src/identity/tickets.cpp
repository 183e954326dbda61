// Migration tickets: signing by a placement key, verifying by a host.
#include "identity/files.hpp"
#include "identity/impl.hpp"
#include "identity/ticket_form.hpp"

namespace vmsec {
using namespace identity;

struct PlacementKey::Impl {
  KeyHandle key;
  PublicKey public_key;
};

Result<std::string> new_ticket_id() {
  VMSEC_TRY(const std::string bytes, random_bytes(16));
  return hex(bytes);
}

Result<PlacementKey> PlacementKey::create(const std::filesystem::path& file, KeyType type) {
  VMSEC_TRY(const auto key, generate_key(type));
  VMSEC_TRY(const std::string secret, private_pem(key.get()));
  VMSEC_TRY(const std::string open_half, public_pem(key.get()));
  VMSEC_CHECK(write_new_file(file, secret, 0600));
  VMSEC_CHECK(replace_file(file.string() + ".pub", open_half, 0644));
  return open(file);
}

Result<PlacementKey> PlacementKey::open(const std::filesystem::path& file) {
  auto impl = std::make_shared<Impl>();
  VMSEC_TRY(impl->key, load_private(file));
  VMSEC_TRY(impl->public_key, Access::public_half(impl->key.get()));
  PlacementKey key;
  key.impl_ = std::move(impl);
  return key;
}

Result<std::string> PlacementKey::sign(TicketClaims claims) const {
  if (claims.id.empty()) {
    VMSEC_TRY(claims.id, new_ticket_id());
  }
  claims.placement_key = impl_->public_key.digest();
  VMSEC_CHECK(check_claims(claims));
  for (const auto* host : {&claims.source_key, &claims.destination_key}) {
    if (equal_digests(*host, claims.placement_key))
      return fail(Code::denied, "sign ticket: this placement key is a host's own key");
  }
  SignedTicket ticket{wire::encode(claims), {}};
  VMSEC_TRY(ticket.signature, identity::sign(impl_->key.get(), kTicketLabel, ticket.claims));
  return wire::encode(ticket);
}

const PublicKey& PlacementKey::public_key() const { return impl_->public_key; }

Status PlacementKey::export_public(const std::filesystem::path& file) const {
  VMSEC_TRY(const std::string pem, public_pem(impl_->key.get()));
  return replace_file(file, pem, 0644);
}

namespace {

std::unexpected<Error> refuse(std::string cause) { return fail(Code::denied, std::move(cause)); }

// The key is looked up by the ticket's own words; only its signature makes them true.
Result<PublicKey> signer_of(const TicketClaims& claims, const HostState& host, const TicketExpectation& expected) {
  for (const auto* key : {&host.self.key_digest, &expected.peer_key, &claims.source_key, &claims.destination_key}) {
    if (equal_digests(*key, claims.placement_key)) return refuse("a host's own key signed it");
  }
  for (const auto& key : host.placement_keys) {
    if (equal_digests(key.digest(), claims.placement_key)) return key;
  }
  return refuse("no placement key of this host signed it");
}

Status check_time(const TicketClaims& claims, UnixSeconds now) {
  if (now.value + kTicketSkewSeconds < claims.not_before.value)
    return refuse("not valid for another " + std::to_string(claims.not_before.value - now.value) + " s");
  if (claims.expires <= now)
    return fail(Code::expired, "expired " + std::to_string(now.value - claims.expires.value) + " s ago");
  return {};
}

Status check_hosts(const TicketClaims& claims, const HostState& host, const TicketExpectation& expected) {
  const bool outgoing = expected.direction == TicketDirection::outgoing;
  const std::string& own = outgoing ? claims.source : claims.destination;
  const std::string& own_key = outgoing ? claims.source_key : claims.destination_key;
  const std::string& peer = outgoing ? claims.destination : claims.source;
  const std::string& peer_key = outgoing ? claims.destination_key : claims.source_key;
  const std::string role = outgoing ? "source" : "destination";
  if (own != host.self.name) return refuse("its " + role + " is " + own + ", this host is " + host.self.name);
  if (!equal_digests(own_key, host.self.key_digest)) return refuse("it is for another key of " + own);
  if (peer != expected.peer) return refuse("it is for " + peer + ", the peer is " + printable(expected.peer));
  if (!equal_digests(peer_key, expected.peer_key)) return refuse("it is for another key of " + peer);
  return {};
}

Status check_object(const TicketClaims& claims, const TicketExpectation& expected) {
  if (claims.domain != expected.domain)
    return refuse("it is for domain " + claims.domain.text() + ", not " + expected.domain.text());
  if (!equal_digests(claims.configuration_digest, expected.configuration_digest))
    return refuse("it is for another configuration of domain " + claims.domain.text());
  return {};
}

Result<TicketClaims> verify(std::string_view bytes, const HostState& host, const TicketExpectation& expected,
                            UnixSeconds now) {
  if (expected.peer_key.size() != 32 || expected.configuration_digest.size() != 32)
    return fail(Code::invalid_argument, "the digests to compare it with are not 32 bytes");
  VMSEC_TRY(const DecodedTicket ticket, decode_ticket(bytes));
  VMSEC_TRY(const PublicKey signer, signer_of(ticket.claims, host, expected));
  VMSEC_CHECK(signer.verify(kTicketLabel, ticket.signed_ticket.claims, ticket.signed_ticket.signature));
  VMSEC_CHECK(check_claims(ticket.claims));
  VMSEC_CHECK(check_time(ticket.claims, now));
  VMSEC_CHECK(check_hosts(ticket.claims, host, expected));
  VMSEC_CHECK(check_object(ticket.claims, expected));
  return ticket.claims;
}

}  // namespace

Result<TicketClaims> HostIdentity::verify_ticket(std::string_view ticket, const TicketExpectation& expected,
                                                 UnixSeconds now) const {
  auto claims = verify(ticket, *impl_, expected, now);
  if (!claims) return fail(claims.error().in("verify ticket"));
  return claims;
}

}  // namespace vmsec
