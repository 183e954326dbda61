// Guests of a host, each with a TPM and the real agent: trusted ones get secrets, all others are refused with the
// cause.
#include <catch2/catch.hpp>
#include <map>

#include "agent.hpp"
#include "evidence/bytes.hpp"
#include "hosts.hpp"
#include "paths.hpp"
#include "scene.hpp"

namespace vmsec::boot::test {
namespace {

const Uuid kWeb = Uuid::parse("11111111-2222-4333-8444-555555555555").value();
const Uuid kEvil = Uuid::parse("11111111-2222-4333-8444-666666666666").value();

// A log of a guest's boot: firmware's, then command line and initrd by Linux' stub, in PCR 9.
struct Vm {
  TempFolder folder;
  Swtpm tpm;
  std::string log = ovmf_log();
  std::map<std::string, std::string> secrets;
  std::unique_ptr<guest::Agent> agent;

  explicit Vm(const Uuid& domain) {
    tpm.boot(log);
    start(domain);
  }
  void start(const Uuid& domain) {
    agent = std::make_unique<guest::Agent>(guest::AgentSetup{
        domain, tpm.tcti(), folder.file("log", log), [&](const std::string& name, std::string_view secret) -> Status {
          secrets[name] = secret;
          return {};
        }});
  }
  // As after another boot, in which this log came about.
  void reboot(const Uuid& domain) {
    tpm.reset();
    tpm.boot(log);
    start(domain);
  }
};

struct GuestScene {
  TempFolder references;
  Network network;
  Host* host = nullptr;
  Config config;
  std::map<Uuid, std::unique_ptr<Vm>> vms;
  // Stand between host and guests.
  std::function<std::optional<Result<GuestReply>>(const GuestRequest&, const GuestCall&)> instead;
  std::function<void(std::uint32_t method, std::string& payload)> afterwards;

  GuestScene() {
    host = &network.add("host-a");
    host->guests = [this](const GuestRequest& request) { return deliver(request); };
    vms[kWeb] = std::make_unique<Vm>(kWeb);
    REQUIRE(guests().enrol({kWeb}));
    references.file("default.toml", guests().learn({kWeb}).value().toml);
    config.guest_references = references.path();
    network.restart(*host, config);
  }
  GuestAttestation& guests() { return host->module->guests(); }
  Vm& web() { return *vms.at(kWeb); }

  Result<GuestReply> deliver(const GuestRequest& request) {
    const auto call = wire::decode<GuestCall>(request.request).value();
    if (instead)
      if (auto answer = instead(request, call)) return std::move(*answer);
    const auto vm = vms.find(request.domain);
    if (vm == vms.end()) return fail(Code::not_found, "no such domain");
    GuestReply reply{vm->second->agent->answer(request.request)};
    if (!afterwards) return reply;
    auto answer = wire::decode<GuestAnswer>(reply.reply).value();
    afterwards(call.method, answer.payload);
    return GuestReply{wire::encode(answer)};
  }
  template <class Message>
  void change(std::uint32_t method, std::function<void(Message&)> act) {
    afterwards = [method, act](std::uint32_t called, std::string& payload) {
      if (called != method || payload.empty()) return;
      auto message = wire::decode<Message>(payload).value();
      act(message);
      payload = wire::encode(message);
    };
  }
  SecretRelease release(const Uuid& domain = kWeb) {
    auto released = guests().release({domain, "disk.key", "the disk's key"});
    INFO((released ? "" : released.error().message));
    REQUIRE(released);
    return *released;
  }
  // Not trusted, for this cause, told alike by both calls; no secret has left, and it is in the audit log.
  void must_be_refused(const std::string& cause, const Uuid& domain = kWeb, Verdict verdict = Verdict::untrusted) {
    const auto report = guests().attest({domain}).value();
    INFO(report.cause);
    CHECK(report.verdict == verdict);
    CHECK(report.cause.find(cause) != std::string::npos);
    CHECK(host->last_audit().action == "measured_boot.attest_guest");
    CHECK(host->last_audit().domain == domain);
    bool sent = false;
    auto before = std::exchange(instead, nullptr);
    instead = [&](const GuestRequest& request, const GuestCall& call) -> std::optional<Result<GuestReply>> {
      sent = sent || call.method == kGuestSecret;
      return before ? before(request, call) : std::nullopt;
    };
    const auto released = release(domain);
    instead = std::move(before);
    CHECK_FALSE(released.released);
    CHECK(released.report.verdict == verdict);
    CHECK_FALSE(sent);
    CHECK(host->last_audit().action == "measured_boot.release");
    CHECK(host->last_audit().outcome == Outcome::refused);
    for (const auto& [uuid, vm] : vms) CHECK(vm->secrets.empty());
  }
};

}  // namespace

TEST_CASE("a guest that booted what its reference says is trusted, and gets the secret") {
  if (!Swtpm::available()) return;
  GuestScene scene;
  const auto report = scene.guests().attest({kWeb}).value();
  INFO(report.cause);
  CHECK(report.verdict == Verdict::trusted);
  CHECK(report.host == kWeb.text());
  CHECK(report.events == 25);
  const auto released = scene.release();
  CHECK(released.released);
  CHECK(released.report.verdict == Verdict::trusted);
  CHECK(scene.web().secrets.at("disk.key") == "the disk's key");
  CHECK(scene.host->last_audit().action == "measured_boot.release");
  CHECK(scene.host->last_audit().outcome == Outcome::succeeded);
  for (const auto& entry : scene.host->store.audit) CHECK(entry.detail.find("the disk's key") == std::string::npos);

  SECTION("again after it has booted the same again") {
    scene.web().secrets.clear();
    scene.web().reboot(kWeb);
    CHECK(scene.release().released);
    CHECK(scene.web().secrets.size() == 1);
  }
  SECTION("by its own reference where it has one") {
    scene.references.file(kWeb.text() + ".toml",
                          "version = 1\npcrs = [4]\n[pcr.4]\nvalues = [\"" + std::string(64, '0') + "\"]\n");
    CHECK(scene.guests().attest({kWeb}).value().verdict == Verdict::untrusted);
  }
  SECTION("but never by the common one where its own cannot be read") {
    std::filesystem::create_symlink(kWeb.text() + ".toml", scene.references.path() / (kWeb.text() + ".toml"));
    CHECK(scene.guests().attest({kWeb}).error().code == Code::io);
  }
  SECTION("also through the module's door") {
    auto* endpoint = scene.host->module->endpoint("vmsec.GuestAttestation").value();
    const auto packet = endpoint->call(2, wire::pack(GuestRef{kWeb})).value();
    CHECK(wire::decode<AttestationReport>(packet.bytes).value().verdict == Verdict::trusted);
  }
}

TEST_CASE("a guest whose kernel, initrd or command line has changed gets nothing, and the event is named") {
  if (!Swtpm::available()) return;
  GuestScene scene;
  auto& log = scene.web().log;
  std::string cause;
  SECTION("kernel") {
    log[digest_place(log, 10)] ^= 1;
    cause = "PCR 4 is ";
  }
  SECTION("command line") {
    log[digest_place(log, 21)] ^= 1;
    cause = "first differing event 21 EV_EVENT_TAG";
  }
  SECTION("initrd") {
    log[digest_place(log, 22)] ^= 1;
    cause = "first differing event 22 EV_EVENT_TAG";
  }
  scene.web().reboot(kWeb);
  scene.must_be_refused(cause);
}

TEST_CASE("a PCR that was extended behind the guest's log is named") {
  if (!Swtpm::available()) return;
  GuestScene scene;
  scene.web().tpm.extend(9, std::string(32, 'x'));
  scene.must_be_refused("PCR 9 is ");
}

TEST_CASE("a copy of a guest's TPM serves no second guest") {
  if (!Swtpm::available()) return;
  GuestScene scene;
  scene.vms[kEvil] = std::make_unique<Vm>(kEvil);
  auto& evil = *scene.vms.at(kEvil);
  const auto copy = [&] {
    scene.web().tpm.stop();
    evil.tpm.stop();
    std::filesystem::copy(scene.web().tpm.state(), evil.tpm.state(),
                          std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
    scene.web().tpm.start();
    evil.tpm.start();
    scene.web().tpm.boot(scene.web().log);
    evil.tpm.boot(evil.log);
  };
  SECTION("it is not enrolled, and the first one is named") {
    copy();
    for (const bool replace : {false, true}) {
      const auto refused = scene.guests().enrol({kEvil, replace});
      REQUIRE_FALSE(refused);
      CHECK(refused.error().code == Code::denied);
      CHECK(refused.error().message.find("is enrolled for guest " + kWeb.text()) != std::string::npos);
      CHECK(scene.host->last_audit().outcome == Outcome::refused);
      CHECK(scene.host->last_audit().domain == kEvil);
    }
    scene.must_be_refused("not enrolled", kEvil);
  }
  SECTION("in the place of its own it makes the guest another one") {
    REQUIRE(scene.guests().enrol({kEvil}));
    copy();
    scene.must_be_refused("signature is not the attestation key's", kEvil);
  }
}

TEST_CASE("the evidence of another guest is refused") {
  if (!Swtpm::available()) return;
  GuestScene scene;
  scene.vms[kEvil] = std::make_unique<Vm>(kEvil);
  const auto relayed = [&](const GuestRequest&, const GuestCall& call) -> std::optional<Result<GuestReply>> {
    if (call.method != kGuestQuote) return std::nullopt;
    auto request = wire::decode<GuestQuote>(call.payload).value();
    request.domain = kWeb;  // its agent answers for itself alone
    return GuestReply{scene.web().agent->answer(wire::encode(GuestCall{kGuestQuote, wire::encode(request)}))};
  };
  SECTION("by its TPM's key") {
    REQUIRE(scene.guests().enrol({kEvil}));
    scene.instead = relayed;
    scene.must_be_refused("signature is not the attestation key's", kEvil);
  }
  SECTION("by its name, where the key is the same") {
    // As if the copy had been enrolled: what the quote is over differs.
    scene.host->store.records["enrolled-guest." + kEvil.text()] = [&] {
      auto host = wire::decode<EnrolledHost>(scene.host->store.records.at("enrolled-guest." + kWeb.text())).value();
      host.host = kEvil.text();
      return wire::encode(host);
    }();
    scene.instead = relayed;
    scene.must_be_refused("the quote is not for this nonce", kEvil);
  }
}

TEST_CASE("a host's quote is no guest's") {
  CHECK(guest_qualifying_data(kWeb, std::string(32, 'n'), std::string(32, 'k')).value() !=
        qualifying_data(kWeb.text(), std::string(32, 'n'), std::string(32, 'k')).value());
}

TEST_CASE("tampering on the way is named") {
  if (!Swtpm::available()) return;
  GuestScene scene;
  SECTION("another exchange key, so that the secret would go to who put it there") {
    scene.change<GuestEvidence>(kGuestQuote,
                                [](GuestEvidence& e) { e.exchange_key = ExchangeKey::make().value().public_key(); });
    scene.must_be_refused("the quote is not for this nonce");
  }
  SECTION("a digest in the log") {
    scene.change<GuestEvidence>(
        kGuestQuote, [](GuestEvidence& e) { e.evidence.event_log[digest_place(e.evidence.event_log, 4)] ^= 1; });
    scene.must_be_refused("PCR 7 is ");
  }
  SECTION("the quote's clock") {
    scene.change<GuestEvidence>(kGuestQuote, [](GuestEvidence& e) { e.evidence.attest[6 + 2 + 34 + 2 + 32 + 7] ^= 1; });
    scene.must_be_refused("signature is not the attestation key's");
  }
  SECTION("an answer that is no message") {
    scene.afterwards = [](std::uint32_t, std::string& payload) { payload = "\x0a\xff"; };
    scene.must_be_refused("the guest's answer: decode vmsec.guest.GuestEvidence");
  }
  SECTION("an answer that has no end") {
    scene.instead = [](const GuestRequest&, const GuestCall&) -> std::optional<Result<GuestReply>> {
      return fail(Code::limit_exceeded, "guest's port: a frame of 9999999 bytes");
    };
    scene.must_be_refused("a frame of 9999999 bytes");
  }
  SECTION("an earlier answer") {
    std::string first;
    scene.afterwards = [&](std::uint32_t, std::string& payload) {
      if (first.empty()) first = payload;
      payload = first;
    };
    CHECK(scene.guests().attest({kWeb}).value().verdict == Verdict::trusted);
    scene.must_be_refused("the quote is not for this nonce");
  }
}

TEST_CASE("a guest that does not answer is unreachable, and gets nothing") {
  if (!Swtpm::available()) return;
  GuestScene scene;
  const auto answer = [&](const Error& error) {
    scene.instead = [error](const GuestRequest&, const GuestCall&) -> std::optional<Result<GuestReply>> {
      return fail(error);
    };
  };
  SECTION("its agent is gone") {
    answer({Code::timeout, "the guest did not answer in time", 0, {}});
    scene.must_be_refused("no evidence came: the guest did not answer", kWeb, Verdict::unreachable);
  }
  SECTION("it is off") {
    answer({Code::unavailable, "web does not run", 0, {}});
    scene.must_be_refused("no evidence came: web does not run", kWeb, Verdict::unreachable);
  }
  SECTION("its TPM is gone") {
    scene.web().tpm.stop();
    scene.must_be_refused("the agent in the guest answers: open the TPM", kWeb, Verdict::unreachable);
  }
  SECTION("but where it has no port, that is an error") {
    answer({Code::unsupported, "no channel", 0, {}});
    CHECK(scene.guests().attest({kWeb}).error().code == Code::unsupported);
    CHECK(scene.guests().release({kWeb, "disk.key", "x"}).error().code == Code::unsupported);
  }
}

TEST_CASE("a guest's reference never goes back, nor away from its own to the common one") {
  if (!Swtpm::available()) return;
  GuestScene scene;
  const auto text = scene.guests().learn({kWeb}).value().toml;
  scene.references.file(kWeb.text() + ".toml", "serial = 3\n" + text);
  CHECK(scene.guests().attest({kWeb}).value().verdict == Verdict::trusted);
  scene.references.file(kWeb.text() + ".toml", "serial = 2\n" + text);
  CHECK(scene.guests().attest({kWeb}).error().code == Code::tampered);
  CHECK(scene.guests().release({kWeb, "disk.key", "secret"}).error().code == Code::tampered);
  std::filesystem::remove(scene.references.path() / (kWeb.text() + ".toml"));
  CHECK(scene.guests().attest({kWeb}).error().code == Code::tampered);
  scene.references.file("default.toml", "serial = 3\n" + text);
  CHECK(scene.guests().attest({kWeb}).value().verdict == Verdict::trusted);
}

TEST_CASE("evidence that took too long is stale, and nothing is released") {
  if (!Swtpm::available()) return;
  GuestScene scene;
  scene.afterwards = [&](std::uint32_t, std::string&) { scene.host->now += std::chrono::seconds(31); };
  scene.must_be_refused("the evidence took 31 s", kWeb, Verdict::stale);
}

TEST_CASE("a secret that nobody confirms is an error, and written down") {
  if (!Swtpm::available()) return;
  GuestScene scene;
  const auto error = [&] {
    const auto released = scene.guests().release({kWeb, "disk.key", "the disk's key"});
    REQUIRE_FALSE(released);
    CHECK(scene.host->last_audit().action == "measured_boot.release");
    CHECK(scene.host->last_audit().outcome == Outcome::failed);
    return released.error();
  };
  SECTION("the guest proves nothing") {
    scene.change<GuestProof>(kGuestSecret, [](GuestProof& proof) { proof.proof = std::string(32, '\0'); });
    CHECK(error().code == Code::untrusted);
  }
  SECTION("another agent has come in the meantime, on the same TPM") {
    scene.instead = [&](const GuestRequest&, const GuestCall& call) -> std::optional<Result<GuestReply>> {
      if (call.method == kGuestSecret) scene.web().start(kWeb);
      return std::nullopt;
    };
    CHECK(error().message.find("belongs to no quote of this agent's") != std::string::npos);
    CHECK(scene.web().secrets.empty());
  }
  SECTION("it is gone") {
    scene.instead = [&](const GuestRequest&, const GuestCall& call) -> std::optional<Result<GuestReply>> {
      if (call.method != kGuestSecret) return std::nullopt;
      return fail(Code::timeout, "the guest did not answer in time");
    };
    CHECK(error().code == Code::timeout);
  }
}

TEST_CASE("a release that cannot be written down does not happen") {
  if (!Swtpm::available()) return;
  GuestScene scene;
  scene.host->store.audit_fails = true;
  CHECK_FALSE(scene.guests().release({kWeb, "disk.key", "the disk's key"}));
  CHECK(scene.web().secrets.empty());
}

TEST_CASE("what is asked of guests is checked") {
  if (!Swtpm::available()) return;
  GuestScene scene;
  CHECK(scene.guests().release({kWeb, "../passwd", "x"}).error().code == Code::invalid_argument);
  CHECK(scene.guests().release({kWeb, "a", ""}).error().code == Code::invalid_argument);
  CHECK(scene.guests().release({kWeb, "a", std::string(4097, 'x')}).error().code == Code::invalid_argument);
  CHECK(scene.guests().learn({kEvil}).error().message.find("it is not enrolled") != std::string::npos);
  CHECK(scene.guests().enrol({kEvil}).error().code == Code::not_found);
  std::filesystem::remove(scene.references.path() / "default.toml");
  CHECK(scene.guests().attest({kWeb}).error().code == Code::io);
  scene.network.restart(*scene.host);
  CHECK(scene.guests().attest({kWeb}).error().message.find("guest_references = ") != std::string::npos);
  CHECK(scene.guests().release({kWeb, "a", "x"}).error().code == Code::wrong_state);
}

TEST_CASE("a guest with another TPM is enrolled only when an operator says so") {
  if (!Swtpm::available()) return;
  GuestScene scene;
  scene.web().tpm.manufacture();
  CHECK(scene.guests().enrol({kWeb}).error().code == Code::already_exists);
  CHECK(scene.guests().enrol({kWeb, true}));
  CHECK(scene.host->last_audit().detail.starts_with("replaced: "));
}

TEST_CASE("keys that a guest made up are refused") {
  if (!Swtpm::available()) return;
  GuestScene scene;
  scene.host->store.records.clear();
  Swtpm other;
  const auto key = Tpm::open(other.tcti()).value().endorsement_key().value();
  SECTION("another TPM's endorsement key") {
    scene.change<GuestKeys>(kGuestKeys, [&](GuestKeys& keys) { keys.endorsement_key = key.public_area; });
  }
  SECTION("a storage key in the place of the attestation key") {
    scene.change<GuestKeys>(kGuestKeys, [&](GuestKeys& keys) { keys.attestation_key = key.public_area; });
  }
  SECTION("a proof of nothing") {
    scene.change<GuestProof>(kGuestActivate, [](GuestProof& proof) { proof.proof.back() ^= 1; });
  }
  CHECK_FALSE(scene.guests().enrol({kWeb}));
  CHECK(scene.host->store.records.empty());
}

TEST_CASE("with guest_ek_roots a guest's TPM needs its maker's certificate") {
  if (!Swtpm::available()) return;
  if (!has_program("swtpm_setup") || !has_program("swtpm_localca")) {
    WARN("SKIPPED: swtpm_setup is not installed (apt-get install swtpm-tools), certificates were not tested");
    return;
  }
  GuestScene scene;
  const std::string made = scene.references.path() / "made";
  const std::string ca = scene.references.path() / "ca";
  REQUIRE(run("bash " VMSEC_SOURCE_DIR "/test/testbed/tpm/swtpm.sh make " + made + " " + ca) == 0);
  scene.config.guest_ek_roots = read_whole(ca + "/bundle.pem");
  scene.network.restart(*scene.host, scene.config);
  CHECK(scene.guests().enrol({kWeb}).error().message.find("has no certificate for its endorsement key") !=
        std::string::npos);
  auto& tpm = scene.web().tpm;
  tpm.stop();
  std::filesystem::copy(made + "/state", tpm.state(),
                        std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  tpm.start();
  const auto enrolment = scene.guests().enrol({kWeb, true});
  INFO((enrolment ? "" : enrolment.error().message));
  CHECK(enrolment);
}

}  // namespace vmsec::boot::test
