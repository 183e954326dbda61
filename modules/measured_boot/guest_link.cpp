#include "guest_link.hpp"

#include "evidence/bytes.hpp"

namespace vmsec::boot {
namespace {

constexpr std::uint32_t kPatienceMs = 30'000;  // a TPM in software takes less than one second, one in an emulation some

}  // namespace

Result<std::string> read_guest_answer(std::string_view bytes) {
  auto answer = wire::decode<GuestAnswer>(bytes);
  if (!answer) return fail(Code::tampered, "the guest's answer: " + answer.error().message);
  if (!answer->error.empty())
    return fail(Code::unavailable, "the agent in the guest answers: " + printable(answer->error));
  return std::move(answer->payload);
}

Result<std::string> GuestLink::ask(std::uint32_t method, std::string payload) {
  auto said = evidence_.guest({domain_, wire::encode(GuestCall{method, std::move(payload)}), kPatienceMs});
  // What is asked here is never too long: it was the guest that said too much.
  if (!said && said.error().code == Code::limit_exceeded) return fail(Code::tampered, said.error().message);
  if (!said) return fail(std::move(said).error());
  return read_guest_answer(said->reply);
}

}  // namespace vmsec::boot
