#include <catch2/catch.hpp>

#include "evidence/credential.hpp"
#include "evidence/soft_key.hpp"
#include "hosts.hpp"
#include "paths.hpp"
#include "tpm/tpm.hpp"

namespace vmsec::boot::test {
namespace {

// Changes the keys that the host shows.
void show(Network& network, const std::function<void(Keys&)>& change) {
  network.afterwards = [change](std::uint32_t method, Result<PeerReply>& reply) {
    if (method != kMethodKeys || !reply) return;
    auto keys = wire::decode<Keys>(reply->payload).value();
    change(keys);
    reply->payload = wire::encode(keys);
  };
}

}  // namespace

TEST_CASE("the TPM opens what was made for its keys, and nothing else") {
  if (!Swtpm::available()) return;
  Swtpm swtpm;
  auto tpm = Tpm::open(swtpm.tcti());
  REQUIRE(tpm);
  const auto key = tpm->create_attestation_key().value();
  const auto endorsement = parse_public(tpm->endorsement_key().value().public_area, "EK").value();
  const auto name = parse_public(public_area(key).value(), "AK").value().name();
  CHECK(check_endorsement_key(endorsement));
  const std::string secret(32, 's');
  for (int i = 0; i < 20; ++i) {  // coordinates with leading zeros come up at times
    const auto made = make_credential(endorsement, name, secret).value();
    REQUIRE(tpm->activate(key, made.id_object, made.encrypted_secret).value() == secret);
  }
  const auto made = make_credential(endorsement, name, secret).value();
  for (const std::size_t place : {std::size_t{3}, made.id_object.size() - 1}) {
    std::string changed = made.id_object;
    changed[place] ^= 1;
    CHECK_FALSE(tpm->activate(key, changed, made.encrypted_secret));
  }
  const auto other = parse_public(public_area(tpm->create_attestation_key().value()).value(), "AK").value().name();
  const auto wrong = make_credential(endorsement, other, secret).value();
  CHECK_FALSE(tpm->activate(key, wrong.id_object, wrong.encrypted_secret));
  CHECK_FALSE(tpm->activate(key, std::string(5000, 'x'), made.encrypted_secret));
}

TEST_CASE("a host is enrolled once its TPM has proven the key") {
  if (!Swtpm::available()) return;
  Network network;
  Host& verifier = network.add("verifier");
  network.add("host-a");
  const auto enrolment = verifier.attestation().enrol({"host-a"});
  REQUIRE(enrolment);
  CHECK(enrolment->host == "host-a");
  CHECK(enrolment->attestation_key.size() == 64);
  CHECK(enrolment->endorsement_key.size() == 64);
  CHECK(verifier.store.records.contains("enrolled.host-a"));
  CHECK(verifier.last_audit().action == "measured_boot.enrol");
  CHECK(verifier.last_audit().outcome == Outcome::succeeded);
  CHECK(verifier.last_audit().peer == "host-a");
  CHECK(network.open_lines() == 0);

  SECTION("again, and nothing changes") {
    const auto records = verifier.store.records;
    network.restart(network.host("host-a"));
    REQUIRE(verifier.attestation().enrol({"host-a"}).value().attestation_key == enrolment->attestation_key);
    CHECK(verifier.store.records == records);
  }
  SECTION("with another TPM only when an operator says so") {
    network.host("host-a").tpm.manufacture();
    const auto refused = verifier.attestation().enrol({"host-a"});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::already_exists);
    CHECK(refused.error().message.find(enrolment->attestation_key) != std::string::npos);
    CHECK(verifier.last_audit().outcome == Outcome::refused);
    const auto replaced = verifier.attestation().enrol({"host-a", true});
    REQUIRE(replaced);
    CHECK(replaced->attestation_key != enrolment->attestation_key);
    CHECK(verifier.last_audit().detail.starts_with("replaced: "));
  }
  SECTION("and not under a second name") {
    Host& other = network.add("host-b");
    network.instead = [&](const CallPeer& call) -> std::optional<Result<PeerReply>> {
      // host-b is host-a's machine under another name.
      Line& line = network.line(call.connection);
      PeerContext context = network.context(call.connection, line.to);
      return network.host("host-a").module->incoming_call({context, call.method, call.payload});
    };
    const auto refused = verifier.attestation().enrol({"host-b", true});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::denied);
    CHECK(refused.error().message.find("is enrolled for host host-a") != std::string::npos);
    CHECK_FALSE(verifier.store.records.contains("enrolled.host-b"));
    static_cast<void>(other);
  }
}

TEST_CASE("a host cannot have another host's TPM solve its challenge") {
  if (!Swtpm::available()) return;
  Network network;
  Host& verifier = network.add("verifier");
  network.add("host-a");
  network.add("evil");
  network.instead = [&](const CallPeer& call) -> std::optional<Result<PeerReply>> {
    // evil passes all on to host-a, over a connection of its own.
    const auto relay = network.connect("evil", "host-a");
    return network.host("host-a").module->incoming_call({network.context(relay, "host-a"), call.method, call.payload});
  };
  const auto refused = verifier.attestation().enrol({"evil"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::untrusted);
  CHECK(refused.error().message.find("has not proven that its attestation key is in the TPM") != std::string::npos);
  CHECK(verifier.store.records.empty());
  CHECK(verifier.last_audit().outcome == Outcome::refused);
}

TEST_CASE("keys that a host made up are refused") {
  if (!Swtpm::available()) return;
  Network network;
  Host& verifier = network.add("verifier");
  network.add("host-a");
  std::string cause;
  SECTION("an attestation key in software") {
    const SoftKey soft;
    show(network, [bytes = soft.area().bytes](Keys& keys) { keys.attestation_key = bytes; });
    cause = "";  // its TPM cannot answer for a key that it does not hold
  }
  SECTION("an attestation key that signs anything") {
    const SoftKey soft(SoftKey::Type::p256, SoftKey::kUsualAttributes & ~kRestricted);
    show(network, [bytes = soft.area().bytes](Keys& keys) { keys.attestation_key = bytes; });
    cause = "restricted is not set";
  }
  SECTION("an endorsement key that signs") {
    const SoftKey soft;
    show(network, [bytes = soft.area().bytes](Keys& keys) { keys.endorsement_key = bytes; });
    cause = "not a restricted decryption key";
  }
  SECTION("no key at all") {
    show(network, [](Keys& keys) { keys.attestation_key.clear(); });
    cause = "public area of the attestation key, byte 0: it ends too early";
  }
  SECTION("the endorsement key of another TPM") {
    Swtpm other;
    const auto key = Tpm::open(other.tcti()).value().endorsement_key().value();
    show(network, [key](Keys& keys) { keys.endorsement_key = key.public_area; });
    cause = "";
  }
  SECTION("an answer that is no message") {
    network.afterwards = [](std::uint32_t, Result<PeerReply>& reply) { reply->payload = "\x0a\xff"; };
    cause = "decode vmsec.measured_boot.Keys";
  }
  SECTION("a proof of nothing") {
    network.afterwards = [](std::uint32_t method, Result<PeerReply>& reply) {
      if (method == kMethodActivate) reply->payload = wire::encode(ActivateReply{std::string(32, '\0')});
    };
    cause = "has not proven";
  }
  const auto refused = verifier.attestation().enrol({"host-a"});
  REQUIRE_FALSE(refused);
  INFO(refused.error().message);
  CHECK(refused.error().message.find(cause) != std::string::npos);
  CHECK(verifier.store.records.empty());
}

TEST_CASE("an enrolment that cannot be audited does not happen") {
  if (!Swtpm::available()) return;
  Network network;
  Host& verifier = network.add("verifier");
  network.add("host-a");
  verifier.store.audit_fails = true;
  CHECK_FALSE(verifier.attestation().enrol({"host-a"}));
  CHECK(verifier.store.records.empty());
}

TEST_CASE("with ek_roots a TPM needs its manufacturer's certificate") {
  if (!Swtpm::available()) return;
  if (!has_program("swtpm_setup") || !has_program("swtpm_localca")) {
    WARN("SKIPPED: swtpm_setup is not installed (apt-get install swtpm-tools), certificates were not tested");
    return;
  }
  TempFolder folder;
  const std::string ca = folder.path() / "ca";
  const std::string script = VMSEC_SOURCE_DIR "/test/testbed/tpm/swtpm.sh";
  const std::string made = folder.path() / "made";
  REQUIRE(run("bash " + script + " make " + made + " " + ca) == 0);
  Config config;
  config.ek_roots = read_whole(ca + "/bundle.pem");
  Network network;
  Host& verifier = network.add("verifier", config);
  Host& host = network.add("host-a");

  SECTION("and without one it is refused") {
    const auto refused = verifier.attestation().enrol({"host-a"});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::untrusted);
    CHECK(refused.error().message.find("has no certificate for its endorsement key") != std::string::npos);
  }
  host.tpm.stop();
  std::filesystem::copy(made + "/state", host.tpm.state(),
                        std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  host.tpm.start();
  SECTION("with one of that authority it is enrolled") {
    const auto enrolment = verifier.attestation().enrol({"host-a"});
    INFO((enrolment ? "" : enrolment.error().message));
    REQUIRE(enrolment);
  }
  SECTION("with one of another key it is refused") {
    Swtpm other;
    const auto key = Tpm::open(other.tcti()).value().endorsement_key().value();
    show(network, [key](Keys& keys) { keys.endorsement_key = key.public_area; });
    CHECK(verifier.attestation().enrol({"host-a"}).error().message.find("certificate is of another key") !=
          std::string::npos);
  }
  SECTION("with one byte of it changed it is refused") {
    show(network, [](Keys& keys) { keys.endorsement_certificate[keys.endorsement_certificate.size() / 2] ^= 1; });
    CHECK(verifier.attestation().enrol({"host-a"}).error().code == Code::untrusted);
  }
  SECTION("with one of another authority it is refused") {
    const std::string other = folder.path() / "other";
    REQUIRE(run("bash " + script + " make " + other + "/tpm " + other + "/ca") == 0);
    Config others;
    others.ek_roots = read_whole(other + "/ca/bundle.pem");
    network.restart(verifier, others);
    CHECK(verifier.attestation().enrol({"host-a"}).error().message.find("certificate does not verify") !=
          std::string::npos);
  }
}

TEST_CASE("a host name that cannot be kept is refused") {
  if (!Swtpm::available()) return;
  Network network;
  Host& verifier = network.add("verifier");
  for (const std::string name : {"", "a/b", "a b", "\xc3\xa4"})
    CHECK(verifier.attestation().enrol({name}).error().code == Code::invalid_argument);
  CHECK(verifier.attestation().enrol({std::string(101, 'a')}).error().code == Code::invalid_argument);
}

}  // namespace vmsec::boot::test
