// A connection to measured_boot on another host, for one errand.
#pragma once

#include <memory>
#include <string>

#include "open_links.hpp"
#include "vmsec/service/peers.hpp"

namespace vmsec::boot {

// Borrows Peers and the list. Closes what it opened, and only that.
class PeerLink {
 public:
  // A new connection to the host, listed as long as it is open.
  static Result<PeerLink> open(Peers& peers, const std::string& host, OpenLinks& links);
  // One that is open; its peer's certificate is verified anew.
  static Result<PeerLink> join(Peers& peers, std::uint64_t connection);
  PeerLink(PeerLink&& other) noexcept;
  PeerLink& operator=(PeerLink&&) = delete;
  ~PeerLink();

  [[nodiscard]] const PeerContext& context() const { return context_; }
  // The answer's bytes. What the other host says in an error is made printable.
  Result<std::string> call(std::uint32_t method, std::string payload);

 private:
  enum class Owner { us, another };
  PeerLink(Peers& peers, PeerContext context, Owner owner)
      : peers_(&peers), context_(std::move(context)), owner_(owner) {}

  Peers* peers_;
  PeerContext context_;
  Owner owner_;
  OpenLinks* links_ = nullptr;
};

}  // namespace vmsec::boot
