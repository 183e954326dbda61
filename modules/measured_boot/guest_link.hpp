// The agent in one guest, for one errand: calls in, messages out. What comes back is the guest's word and may be
// anything.
#pragma once

#include "evidence/guest_messages.hpp"
#include "vmsec/capability/boot_evidence.hpp"

namespace vmsec::boot {

// The payload of an answer. `tampered`: it is none; `unavailable`: the agent says that it cannot, and why.
Result<std::string> read_guest_answer(std::string_view bytes);

// Borrows BootEvidence.
class GuestLink {
 public:
  GuestLink(BootEvidence& evidence, const Uuid& domain) : evidence_(evidence), domain_(domain) {}

  // `tampered`: an answer came, and it is none. All other errors: none came.
  template <class Reply, class Request>
  Result<Reply> call(std::uint32_t method, const Request& request) {
    VMSEC_TRY(const auto payload, ask(method, wire::encode(request)));
    auto reply = wire::decode<Reply>(payload);
    if (!reply) return fail(Code::tampered, "the guest's answer: " + reply.error().message);
    return reply;
  }

 private:
  Result<std::string> ask(std::uint32_t method, std::string payload);

  BootEvidence& evidence_;
  Uuid domain_;
};

}  // namespace vmsec::boot
