// Verdicts on real TPMs: trusted, untrusted, unreachable, stale; and errors.
#include "scene.hpp"

namespace vmsec::boot::test {

TEST_CASE("a host that booted what the reference says is trusted") {
  if (!Swtpm::available()) return;
  Scene scene;
  const auto audited = scene.verifier->store.audit.size();
  const auto report = scene.attest();
  INFO(report.cause);
  CHECK(report.verdict == Verdict::trusted);
  CHECK(report.cause.empty());
  CHECK(report.host == "host-a");
  CHECK(report.events == 25);
  CHECK(report.time.value > 0);
  CHECK(report.attestation_key.size() == 64);
  REQUIRE(report.pcrs.size() == 9);
  for (const auto& row : report.pcrs) CHECK(row.expected);
  CHECK(scene.network.open_lines() == 0);
  CHECK(scene.verifier->store.audit.size() == audited);

  SECTION("also over a connection that is open, which stays open") {
    const auto connection = scene.network.connect("verifier", "host-a");
    CHECK(scene.attest(connection).verdict == Verdict::trusted);
    CHECK(scene.verifier->attestation().attest({"", connection}).value().verdict == Verdict::trusted);
    CHECK(scene.network.open_lines() == 1);
  }
  SECTION("also after its agent was restarted") {
    scene.network.restart(*scene.host);
    CHECK(scene.attest().verdict == Verdict::trusted);
  }
  SECTION("also after the TPM was reset and the host booted the same again") {
    scene.host->tpm.reset();
    scene.host->tpm.boot(scene.host->event_log);
    const auto again = scene.attest();
    CHECK(again.verdict == Verdict::trusted);
    CHECK(again.reset_count > report.reset_count);
  }
  SECTION("also through the module's door") {
    auto* endpoint = scene.verifier->module->endpoint("vmsec.Attestation").value();
    const auto packet = endpoint->call(1, wire::pack(AttestHost{"host-a", 0})).value();
    CHECK(wire::decode<AttestationReport>(packet.bytes).value().verdict == Verdict::trusted);
    CHECK_FALSE(scene.verifier->module->endpoint("vmsec.DomainControl"));
  }
}

TEST_CASE("a boot that was measured differently is untrusted, and the event is named") {
  if (!Swtpm::available()) return;
  Scene scene;
  auto& log = scene.host->event_log;
  log[digest_place(log, 10)] ^= 1;  // the boot loader
  scene.host->tpm.reset();
  scene.host->tpm.boot(log);
  scene.must_be_untrusted("; first differing event 10 EV_EFI_BOOT_SERVICES_APPLICATION digest ");
  CHECK(scene.attest().cause.starts_with("PCR 4 is "));
  const auto report = scene.attest();
  CHECK_FALSE(report.pcrs[4].expected);
  CHECK(report.pcrs[4].reference.size() == 64);
  CHECK(report.pcrs[3].expected);
}

TEST_CASE("a PCR that was extended behind the log is untrusted, and the PCR is named") {
  if (!Swtpm::available()) return;
  Scene scene;
  scene.host->tpm.extend(7, std::string(32, 'x'));
  scene.must_be_untrusted("PCR 7 is ");
  CHECK(scene.attest().cause.find("in the TPM, the event log leads to 65caf8dd") != std::string::npos);
}

TEST_CASE("a TPM that was reset, without its boot, is untrusted") {
  if (!Swtpm::available()) return;
  Scene scene;
  scene.host->tpm.reset();
  scene.must_be_untrusted("PCR 0 is " + std::string(64, '0') + " in the TPM");
}

TEST_CASE("a host that does not answer is unreachable, not untrusted") {
  if (!Swtpm::available()) return;
  Scene scene;
  SECTION("the connection is refused") {
    const auto report = scene.verifier->attestation().attest({"down", 0}).value();
    CHECK(report.verdict == Verdict::unreachable);
    CHECK(report.host == "down");
    CHECK(report.cause == "connect to down: connection refused");
  }
  SECTION("the connection breaks") {
    scene.network.instead = [](const CallPeer&) -> std::optional<Result<PeerReply>> {
      return fail(Code::unavailable, "the connection broke");
    };
    CHECK(scene.attest().cause == "no evidence came: the connection broke");
  }
  SECTION("it takes too long") {
    scene.network.instead = [](const CallPeer&) -> std::optional<Result<PeerReply>> {
      return fail(Code::timeout, "no answer within 30 s\n\x1b[31m");
    };
    CHECK(scene.attest().cause == "no evidence came: no answer within 30 s??[31m");
  }
  SECTION("its TPM is gone") {
    scene.host->tpm.stop();
    CHECK(scene.attest().cause.find("no evidence came: open the TPM at swtpm:") == 0);
  }
  SECTION("it has no TPM") {
    scene.host->no_evidence = std::make_unique<Error>(Error{Code::unsupported, "this host has no TPM", 0, {}});
    CHECK(scene.attest().cause == "no evidence came: this host has no TPM");
  }
  if (scene.verifier->last_audit().peer == "host-a") CHECK(scene.attest().verdict == Verdict::unreachable);
  CHECK(scene.verifier->last_audit().outcome == Outcome::failed);
}

TEST_CASE("evidence that took too long is stale") {
  if (!Swtpm::available()) return;
  Scene scene;
  scene.network.afterwards = [&](std::uint32_t, Result<PeerReply>&) {
    scene.verifier->now += std::chrono::seconds(31);
  };
  const auto report = scene.attest();
  CHECK(report.verdict == Verdict::stale);
  CHECK(report.cause == "the evidence took 31 s, at most 30 s are allowed");
}

TEST_CASE("an attestation that cannot be made is an error, and no verdict") {
  if (!Swtpm::available()) return;
  Scene scene;
  auto& attestation = scene.verifier->attestation();
  CHECK(attestation.attest({"nowhere", 0}).error().code == Code::not_found);
  CHECK(attestation.attest({"forged", 0}).error().code == Code::unauthenticated);
  CHECK(scene.verifier->last_audit().outcome == Outcome::refused);
  CHECK(attestation.attest({"", 666}).error().code == Code::revoked);
  scene.verifier->store.records["enrolled.host-a"] = "\x0a\xff";
  scene.network.restart(*scene.verifier, scene.config);
  CHECK_FALSE(scene.verifier->attestation().attest({"host-a", 0}));
}

TEST_CASE("without a reference that can be read nothing is trusted") {
  if (!Swtpm::available()) return;
  Scene scene;
  auto& attestation = scene.verifier->attestation();
  SECTION("it is gone") {
    std::filesystem::remove(scene.config.reference);
    CHECK(attestation.attest({"host-a", 0}).error().code == Code::io);
  }
  SECTION("it is damaged") {
    scene.folder.file("reference.toml", scene.reference + "x");
    CHECK(attestation.attest({"host-a", 0}).error().code == Code::invalid_argument);
  }
  SECTION("it is empty") {
    scene.folder.file("reference.toml", "");
    CHECK(attestation.attest({"host-a", 0}).error().code == Code::invalid_argument);
  }
  SECTION("none is configured") {
    scene.network.restart(*scene.verifier);
    CHECK(scene.verifier->attestation().attest({"host-a", 0}).error().code == Code::wrong_state);
  }
}

TEST_CASE("a changed reference counts at once") {
  if (!Swtpm::available()) return;
  Scene scene;
  CHECK(scene.attest().verdict == Verdict::trusted);
  std::string changed = scene.reference;
  const auto place = changed.find("values = [\"", changed.find("[pcr.2]")) + 11;
  changed[place] = changed[place] == '0' ? '1' : '0';
  scene.folder.file("reference.toml", changed);
  scene.must_be_untrusted("PCR 2 is 3d458cfe");
  scene.folder.file("reference.toml", scene.reference);
  CHECK(scene.attest().verdict == Verdict::trusted);
}

TEST_CASE("a PCR that the log cannot explain is not trusted, though a reference lists its value") {
  if (!Swtpm::available()) return;
  Scene scene;
  const auto value = sha256({std::string(32, '\0'), std::string(32, 'i')}).value();
  scene.host->tpm.extend(10, std::string(32, 'i'));
  scene.folder.file("reference.toml", "pcrs = [10]\n[pcr.10]\nvalues = [\"" + to_hex(value) + "\"]\n");
  scene.must_be_untrusted("PCR 10 is " + to_hex(value) + " in the TPM, the event log leads to 0000");
}

TEST_CASE("a host attests itself, and learns from itself, without a network") {
  if (!Swtpm::available()) return;
  Scene scene;
  const auto learned = scene.verifier->attestation().learn({});
  REQUIRE(learned);
  CHECK(learned->toml.find("[pcr.9]") != std::string::npos);
  const auto report = scene.verifier->attestation().attest({});
  REQUIRE(report);
  CHECK(report->verdict == Verdict::trusted);
  CHECK(report->host == "this host");
  scene.verifier->tpm.extend(0, std::string(32, 'x'));
  CHECK(scene.verifier->attestation().attest({}).value().verdict == Verdict::untrusted);
  CHECK(scene.verifier->attestation().learn({}).error().code == Code::untrusted);
  scene.verifier->tpm.stop();
  CHECK(scene.verifier->attestation().attest({}).value().verdict == Verdict::unreachable);
}

TEST_CASE("nothing is learned from a host that is not enrolled") {
  if (!Swtpm::available()) return;
  Scene scene;
  scene.network.add("host-b");
  CHECK(scene.verifier->attestation().learn({"host-b"}).error().code == Code::wrong_state);
}

}  // namespace vmsec::boot::test
