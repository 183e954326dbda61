// The agent in a guest: answers what the host asks, by the guest's own TPM. It trusts the host with nothing but the
// secrets that the host itself sends, and signs nothing that a caller hands in.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "evidence/guest_messages.hpp"
#include "evidence/guest_seal.hpp"
#include "tpm/tpm.hpp"

namespace vmsec::guest {

struct AgentSetup {
  Uuid domain;  // this guest's own: what is asked of another is refused
  std::string tcti;
  std::string event_log;  // path; read anew for each quote
  // Where a secret goes; an error tells the host that it was not taken.
  std::function<Status(const std::string& name, std::string_view secret)> store;
};

// One caller at a time. Keeps nothing but the key of the last quote.
class Agent {
 public:
  explicit Agent(AgentSetup setup) : setup_(std::move(setup)) {}
  // Of the bytes of a boot::GuestCall those of a boot::GuestAnswer, whatever they are.
  std::string answer(std::string_view call);

 private:
  struct Quoted {
    std::string nonce;
    boot::ExchangeKey key;
  };

  Result<std::string> called(std::string_view bytes);
  Result<boot::GuestKeys> keys();
  Result<boot::GuestProof> activate(const boot::GuestActivate& request);
  Result<boot::GuestEvidence> quote(const boot::GuestQuote& request);
  Result<boot::GuestProof> secret(const boot::GuestSecret& request);
  Status check_domain(const Uuid& domain) const;

  AgentSetup setup_;
  std::optional<Quoted> quoted_;
};

}  // namespace vmsec::guest
