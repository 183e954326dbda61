#include "peer_link.hpp"

#include <utility>

#include "evidence/bytes.hpp"
#include "prover.hpp"

namespace vmsec::boot {

Result<PeerLink> PeerLink::open(Peers& peers, const std::string& host, OpenLinks& links) {
  VMSEC_TRY(auto context, peers.connect({host}));
  PeerLink link(peers, std::move(context), Owner::us);
  VMSEC_CHECK(check_context(link.context()));
  if (link.context().peer != host)
    return fail(Code::unauthenticated,
                "connect to host " + host + ": its certificate is " + printable(link.context().peer, 128) + "'s");
  link.links_ = &links;
  links.add(link.context());
  return link;
}

Result<PeerLink> PeerLink::join(Peers& peers, std::uint64_t connection) {
  VMSEC_TRY(auto context, peers.check({connection}));
  VMSEC_CHECK(check_context(context));
  return PeerLink(peers, std::move(context), Owner::another);
}

PeerLink::PeerLink(PeerLink&& other) noexcept
    : peers_(std::exchange(other.peers_, nullptr)),
      context_(std::move(other.context_)),
      owner_(other.owner_),
      links_(std::exchange(other.links_, nullptr)) {}

PeerLink::~PeerLink() {
  if (links_ != nullptr) links_->remove(context_.connection);
  // That it could not be closed means that it has ended.
  if (peers_ != nullptr && owner_ == Owner::us) static_cast<void>(peers_->close({context_.connection}));
}

Result<std::string> PeerLink::call(std::uint32_t method, std::string payload) {
  auto reply = peers_->call({context_.connection, method, std::move(payload), {}});
  if (reply) return std::move(reply->payload);
  Error error = reply.error();
  error.message = printable(error.message);
  return fail(std::move(error));
}

}  // namespace vmsec::boot
