// The agent in a guest, with a TPM of its own: what it proves, and what it refuses.
#include "agent.hpp"

#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <map>

#include "evidence/credential.hpp"
#include "evidence/digest.hpp"
#include "evidence/event_logs.hpp"
#include "guest_port.hpp"
#include "modules/measured_boot/swtpm.hpp"
#include "port.hpp"
#include "secrets.hpp"

namespace vmsec::guest::test {
namespace {

using namespace boot;
using boot::test::Swtpm;
using boot::test::TempFolder;

const Uuid kGuest = Uuid::parse("11111111-2222-4333-8444-555555555555").value();
const Uuid kOther = Uuid::parse("11111111-2222-4333-8444-666666666666").value();
const std::string kNonce(32, 'n');

struct Guest {
  TempFolder folder;
  Swtpm tpm;
  std::map<std::string, std::string> secrets;
  std::unique_ptr<Agent> agent;
  TpmPublic endorsement;
  TpmPublic attestation;

  Guest() {
    tpm.boot(boot::test::ovmf_log());
    restart();
    const auto keys = ask<GuestKeys>(kGuestKeys, Empty{}).value();
    endorsement = parse_public(keys.endorsement_key, "EK").value();
    attestation = parse_public(keys.attestation_key, "AK").value();
  }
  void restart() {
    agent = std::make_unique<Agent>(AgentSetup{kGuest, tpm.tcti(), folder.file("log", boot::test::ovmf_log()),
                                               [&](const std::string& name, std::string_view secret) -> Status {
                                                 secrets[name] = secret;
                                                 return {};
                                               }});
  }
  template <class Reply, class Request>
  Result<Reply> ask(std::uint32_t method, const Request& request) {
    const auto answer =
        wire::decode<GuestAnswer>(agent->answer(wire::encode(GuestCall{method, wire::encode(request)})));
    REQUIRE(answer);
    if (!answer->error.empty()) return fail(Code::unavailable, answer->error);
    return wire::decode<Reply>(answer->payload);
  }
  Result<GuestEvidence> quote() {
    return ask<GuestEvidence>(kGuestQuote, GuestQuote{kGuest, kNonce, kUsualPcrs.bits, 0x000b});
  }
};

// What a host sends after a quote, and the key by which it is sealed.
struct Sent {
  GuestSecret message;
  std::unique_ptr<Seal> seal;
};

Sent sealed_for(const Guest& guest, const GuestEvidence& evidence, const std::string& secret) {
  const std::string credential_secret(32, 'c');
  const auto credential = make_credential(guest.endorsement, guest.attestation.name(), credential_secret).value();
  const auto key = ExchangeKey::make().value();
  const SealTerms terms{kGuest, kNonce, "disk.key", key.public_key(), evidence.exchange_key};
  auto seal = Seal::make(credential_secret, key.agree(evidence.exchange_key).value(), terms).value();
  GuestSecret message{kGuest,
                      kNonce,
                      "disk.key",
                      credential.id_object,
                      credential.encrypted_secret,
                      key.public_key(),
                      seal.close(secret).value()};
  return {std::move(message), std::make_unique<Seal>(std::move(seal))};
}

}  // namespace

TEST_CASE("a guest's keys are the same in each boot, and of its TPM alone") {
  if (!Swtpm::available()) return;
  Guest guest;
  CHECK(check_endorsement_key(guest.endorsement));
  CHECK(check_attestation_key(guest.attestation));
  const auto before = guest.ask<GuestKeys>(kGuestKeys, Empty{}).value();
  guest.tpm.reset();
  guest.restart();
  CHECK(guest.ask<GuestKeys>(kGuestKeys, Empty{}).value().attestation_key == before.attestation_key);
  guest.tpm.manufacture();
  CHECK(guest.ask<GuestKeys>(kGuestKeys, Empty{}).value().attestation_key != before.attestation_key);
}

TEST_CASE("a guest proves that its keys are of one TPM") {
  if (!Swtpm::available()) return;
  Guest guest;
  const std::string secret(32, 's');
  const auto made = make_credential(guest.endorsement, guest.attestation.name(), secret).value();
  GuestActivate request{kGuest, kNonce, made.id_object, made.encrypted_secret};
  CHECK(guest.ask<GuestProof>(kGuestActivate, request).value().proof ==
        guest_enrol_proof(secret, kGuest, kNonce, guest.attestation.name()).value());
  SECTION("a credential that was changed is not opened") {
    request.id_object.back() ^= 1;
    CHECK_FALSE(guest.ask<GuestProof>(kGuestActivate, request));
  }
  SECTION("for another guest it proves nothing") {
    request.domain = kOther;
    CHECK(
        guest.ask<GuestProof>(kGuestActivate, request).error().message.starts_with("asked for guest " + kOther.text()));
  }
}

TEST_CASE("a guest's quote is over its name, the nonce and its agent's key") {
  if (!Swtpm::available()) return;
  Guest guest;
  const auto shown = guest.quote().value();
  const auto& [evidence, exchange_key] = shown;
  QuoteDemand demand{guest_qualifying_data(kGuest, kNonce, exchange_key).value(), kUsualPcrs};
  CHECK(verify_quote(guest.attestation, evidence.attest, evidence.signature, demand));
  CHECK(evidence.event_log == boot::test::ovmf_log());
  const std::string another(32, 'k');
  for (const auto& wrong : {guest_qualifying_data(kOther, kNonce, exchange_key),
                            guest_qualifying_data(kGuest, std::string(32, 'm'), exchange_key),
                            guest_qualifying_data(kGuest, kNonce, another)}) {
    demand.qualifying_data = wrong.value();
    CHECK_FALSE(verify_quote(guest.attestation, evidence.attest, evidence.signature, demand));
  }
}

TEST_CASE("a guest quotes for nobody else, and only what it understands") {
  if (!Swtpm::available()) return;
  Guest guest;
  const auto error = [&](const GuestQuote& request) {
    return guest.ask<GuestEvidence>(kGuestQuote, request).error().message;
  };
  CHECK(error({kOther, kNonce, 1, 0x000b}).starts_with("asked for guest"));
  CHECK(error({kGuest, "short", 1, 0x000b}) == "a nonce of 5 bytes, want 32");
  CHECK(error({kGuest, kNonce, 0, 0x000b}).starts_with("quote: want one PCR"));
  CHECK(error({kGuest, kNonce, 1U << 24, 0x000b}).starts_with("quote: want one PCR"));
  CHECK(error({kGuest, kNonce, 1, 0x7777}).starts_with("quote: of the PCR bank"));
  CHECK(guest.ask<Empty>(99, Empty{}).error().message == "this agent has no method 99");
  guest.tpm.stop();
  CHECK(error({kGuest, kNonce, 1, 0x000b}).starts_with("open the TPM"));
}

TEST_CASE("bytes that are no call are answered with an error") {
  Agent agent({kGuest, "device:/does/not/exist", "/does/not/exist", {}});
  for (const std::string& bytes : {std::string(), std::string("\x0a\xff"), std::string(5000, '\xff')}) {
    const auto answer = wire::decode<GuestAnswer>(agent.answer(bytes));
    REQUIRE(answer);
    CHECK_FALSE(answer->error.empty());
  }
}

TEST_CASE("a secret comes to the agent that has quoted, once") {
  if (!Swtpm::available()) return;
  Guest guest;
  const auto evidence = guest.quote().value();
  auto sent = sealed_for(guest, evidence, "the disk's key");
  const auto give = [&] { return guest.ask<GuestProof>(kGuestSecret, sent.message); };
  SECTION("whole") {
    CHECK(give().value().proof == sent.seal->taken().value());
    CHECK(guest.secrets.at("disk.key") == "the disk's key");
    CHECK(give().error().message == "a secret that belongs to no quote of this agent's");
    return;
  }
  SECTION("not to an agent that was started after the quote, on the same TPM") { guest.restart(); }
  SECTION("not after another quote") { REQUIRE(guest.quote()); }
  SECTION("not with one byte of it changed") { sent.message.sealed[3] ^= 1; }
  SECTION("not cut") { sent.message.sealed.resize(16); }
  SECTION("not with another name") { sent.message.name = "other.key"; }
  SECTION("not with a name that leads out of the folder") { sent.message.name = "../passwd"; }
  SECTION("not for another guest") { sent.message.domain = kOther; }
  SECTION("not for another nonce") { sent.message.nonce[0] ^= 1; }
  SECTION("not with another exchange key") { sent.message.exchange_key = ExchangeKey::make().value().public_key(); }
  SECTION("not with an exchange key that agrees on nothing") { sent.message.exchange_key = std::string(32, '\0'); }
  SECTION("not with another TPM's credential") {
    Guest other;
    const auto made = make_credential(other.endorsement, other.attestation.name(), std::string(32, 'c')).value();
    sent.message.id_object = made.id_object;
    sent.message.encrypted_secret = made.encrypted_secret;
  }
  const auto refused = give();
  CHECK_FALSE(refused);
  CHECK(guest.secrets.empty());
}

TEST_CASE("a secret that cannot be stored is not confirmed") {
  if (!Swtpm::available()) return;
  Guest guest;
  TempFolder folder;
  guest.agent = std::make_unique<Agent>(
      AgentSetup{kGuest, guest.tpm.tcti(), folder.file("log", boot::test::ovmf_log()),
                 [](const std::string&, std::string_view) -> Status { return fail(Code::io, "the disk is full"); }});
  auto sent = sealed_for(guest, guest.quote().value(), "key");
  CHECK(guest.ask<GuestProof>(kGuestSecret, sent.message).error().message == "the disk is full");
}

TEST_CASE("a stored secret is a file for root alone, in the place of an older one") {
  TempFolder folder;
  const std::string secrets = folder.path() / "secrets";
  REQUIRE(store_secret(secrets, "disk.key", "old"));
  REQUIRE(store_secret(secrets, "disk.key", "new"));
  std::ifstream file(secrets + "/disk.key");
  CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == "new");
  const auto mode = std::filesystem::status(secrets + "/disk.key").permissions();
  CHECK(mode == (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
  CHECK(std::distance(std::filesystem::directory_iterator(secrets), {}) == 1);
  CHECK_FALSE(store_secret(folder.file("file", ""), "disk.key", "x"));
}

TEST_CASE("the agent's port is found by its name") {
  TempFolder folder;
  std::filesystem::create_directories(folder.path() / "vport0p1");
  std::filesystem::create_directories(folder.path() / "vport0p2");
  folder.file("vport0p1/name", "org.qemu.guest_agent.0\n");
  folder.file("vport0p2/name", "org.vmsec.attestation.0\n");
  CHECK(find_port("org.vmsec.attestation.0", folder.path()).value() == "/dev/vport0p2");
  CHECK(find_port("org.vmsec.other.0", folder.path()).error().code == Code::not_found);
  CHECK(find_port("any", folder.path() / "none").error().code == Code::not_found);
}

TEST_CASE("the agent answers over its port, whatever else is said on it") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  Fd host(ends[0]);
  const Fd guest(ends[1]);
  int answered = 0;
  Status served;
  std::thread agent([&] {
    served = serve(
        guest, Hangup::end, [](std::string_view call) { return "heard " + std::string(call); },
        [&] { return ++answered == 3; });
  });
  const auto ask = [&](const std::string& request) {
    return common::exchange(host, {kGuest, request, 10'000}).value().reply;
  };
  const auto say = [&](const std::string& bytes) {
    REQUIRE(::send(host.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
  };
  CHECK(ask("one") == "heard one");
  say("noise, and a frame that is too long: VMG1" + std::string(12, '\xff'));
  CHECK(ask("two") == "heard two");
  CHECK(ask("") == "heard ");
  agent.join();
  CHECK(served);
  std::thread next([&] {
    served = serve(guest, Hangup::end, [](std::string_view) { return std::string(); }, [] { return false; });
  });
  host.reset();
  next.join();
  CHECK(served);
}

}  // namespace vmsec::guest::test
