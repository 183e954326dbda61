#include <catch2/catch.hpp>

#include "hosts.hpp"
#include "soft_key.hpp"

namespace vmsec::boot::test {
namespace {

// verifier has enrolled host-a, and a reference that its boot satisfies.
struct Scene {
  TempFolder folder;
  Network network;
  Host* verifier = nullptr;
  Host* host = nullptr;
  Config config;
  std::string reference;

  Scene() {
    verifier = &network.add("verifier");
    host = &network.add("host-a");
    REQUIRE(verifier->attestation().enrol({"host-a"}));
    reference = verifier->attestation().learn({"host-a"}).value().toml;
    config.reference = folder.file("reference.toml", reference);
    network.restart(*verifier, config);
  }

  AttestationReport attest(std::uint64_t connection = 0) {
    auto report = verifier->attestation().attest({"host-a", connection});
    INFO((report ? "" : report.error().message));
    REQUIRE(report);
    return *report;
  }

  void change_evidence(const std::function<void(Evidence&)>& change) {
    network.afterwards = [change](std::uint32_t method, Result<PeerReply>& reply) {
      if (method != kMethodQuote || !reply) return;
      auto evidence = wire::decode<Evidence>(reply->payload).value();
      change(evidence);
      reply->payload = wire::encode(evidence);
    };
  }

  void must_be_untrusted(const std::string& cause) {
    const auto report = attest();
    INFO(report.cause);
    CHECK(report.verdict == Verdict::untrusted);
    CHECK(report.cause.find(cause) != std::string::npos);
    CHECK(verifier->last_audit().action == "measured_boot.attest");
    CHECK(verifier->last_audit().outcome == Outcome::refused);
    CHECK(verifier->last_audit().peer == "host-a");
    CHECK(verifier->last_audit().detail.find(report.cause) != std::string::npos);
  }
};

// Where the digest of that event begins.
std::size_t digest_place(const std::string& log, std::uint32_t number) {
  auto reader = EventLogReader::open(log).value();
  while (true) {
    const auto event = reader.next().value();
    REQUIRE(event);
    if (event->number == number) return static_cast<std::size_t>(event->digest(Hash::sha256)->data() - log.data());
  }
}

std::size_t type_place(const std::string& log, std::uint32_t number) {
  auto reader = EventLogReader::open(log).value();
  while (true) {
    const auto event = reader.next().value();
    REQUIRE(event);
    if (event->number == number) return event->offset + 4;
  }
}

}  // namespace

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

TEST_CASE("each tampering with the evidence is named as what it is") {
  if (!Swtpm::available()) return;
  Scene scene;
  std::string cause;
  SECTION("a digest in the log") {
    scene.change_evidence([](Evidence& e) { e.event_log[digest_place(e.event_log, 4)] ^= 1; });
    cause = "PCR 7 is ";
  }
  SECTION("an event's type, so that it extends nothing") {
    scene.change_evidence([](Evidence& e) { e.event_log[type_place(e.event_log, 1)] = 3; });
    cause = "PCR 0 is ";
  }
  SECTION("an event's PCR") {
    scene.change_evidence([](Evidence& e) { e.event_log[type_place(e.event_log, 1) - 4] = 2; });
    cause = "PCR 0 is ";
  }
  SECTION("an event left out") {
    scene.change_evidence([](Evidence& e) { e.event_log.erase(type_place(e.event_log, 24) - 4); });
    cause = "PCR 5 is ";
  }
  SECTION("an event's size") {
    scene.change_evidence([](Evidence& e) { e.event_log[digest_place(e.event_log, 1) + 32 + 3] = 1; });
    cause = "event log, byte 141, event 1: the event's data needs 16777218 bytes";
  }
  SECTION("a log that was cut") {
    scene.change_evidence([](Evidence& e) { e.event_log.pop_back(); });
    cause = "event 24: the event's data needs";
  }
  SECTION("no log") {
    scene.change_evidence([](Evidence& e) { e.event_log.clear(); });
    cause = "event log, byte 0, event 0: the log is empty";
  }
  SECTION("a log of the old form") {
    scene.change_evidence([](Evidence& e) { e.event_log = sha1_event(0, 8, std::string(20, 'a'), ""); });
    cause = "the event log has no sha256 digests";
  }
  SECTION("a log and claims that fit each other") {
    scene.change_evidence([](Evidence& e) {
      e.event_log[digest_place(e.event_log, 4)] ^= 1;
      e.claimed[7].value = replay(e.event_log)->bank(Hash::sha256)->values[7];
    });
    cause = "the event log does not lead to the PCRs that were quoted (0,1,2,3,4,5,6,7,9)";
  }
  SECTION("the quote's clock") {
    scene.change_evidence([](Evidence& e) { e.attest[6 + 2 + 34 + 2 + 32 + 7] ^= 1; });
    cause = "the quote's signature is not the attestation key's";
  }
  SECTION("the quote's PCR digest") {
    scene.change_evidence([](Evidence& e) { e.attest.back() ^= 1; });
    cause = "the quote's signature is not the attestation key's";
  }
  SECTION("the quote's magic number") {
    scene.change_evidence([](Evidence& e) { e.attest[0] = 0; });
    cause = "it was not made by a TPM";
  }
  SECTION("the signature") {
    scene.change_evidence([](Evidence& e) { e.signature.back() ^= 1; });
    cause = "the quote's signature is not the attestation key's";
  }
  SECTION("no signature") {
    scene.change_evidence([](Evidence& e) { e.signature.clear(); });
    cause = "the quote's signature, byte 0: it ends too early";
  }
  SECTION("an answer that is no message") {
    scene.network.afterwards = [](std::uint32_t, Result<PeerReply>& reply) { reply->payload = "\x0a\xff"; };
    cause = "its answer is no evidence";
  }
  scene.must_be_untrusted(cause);
}

TEST_CASE("what an event says about itself decides nothing") {
  if (!Swtpm::available()) return;
  Scene scene;
  scene.change_evidence([](Evidence& e) { e.event_log.back() ^= 1; });  // in the last event's text
  CHECK(scene.attest().verdict == Verdict::trusted);
}

TEST_CASE("a quote of another nonce is refused") {
  if (!Swtpm::available()) return;
  Scene scene;
  std::string first;
  scene.network.afterwards = [&](std::uint32_t, Result<PeerReply>& reply) {
    if (first.empty())
      first = reply->payload;
    else
      reply->payload = first;
  };
  const auto connection = scene.network.connect("verifier", "host-a");
  CHECK(scene.attest(connection).verdict == Verdict::trusted);
  const auto replayed = scene.attest(connection);
  CHECK(replayed.verdict == Verdict::untrusted);
  CHECK(replayed.cause == "the quote is not for this nonce, this connection and this host");
}

TEST_CASE("a quote over other PCRs than were asked for is refused") {
  if (!Swtpm::available()) return;
  Scene scene;
  scene.network.instead = [&](const CallPeer& call) -> std::optional<Result<PeerReply>> {
    auto request = wire::decode<QuoteRequest>(call.payload).value();
    request.pcrs &= ~0x10U;  // all but the boot loader's
    return scene.host->module->incoming_call(
        {scene.network.context(call.connection, "host-a"), call.method, wire::encode(request)});
  };
  scene.must_be_untrusted("the quote is over PCRs 0,1,2,3,5,6,7,9, asked were 0,1,2,3,4,5,6,7,9");
}

TEST_CASE("a quote that another host relays is refused") {
  if (!Swtpm::available()) return;
  Scene scene;
  scene.network.add("evil");
  SECTION("of the enrolled host, over another connection") {
    scene.network.instead = [&](const CallPeer& call) -> std::optional<Result<PeerReply>> {
      const auto relay = scene.network.connect("evil", "host-a");
      return scene.host->module->incoming_call({scene.network.context(relay, "host-a"), call.method, call.payload});
    };
    scene.must_be_untrusted("not for this nonce, this connection and this host");
  }
  SECTION("by a host that is not enrolled") {
    const auto report = scene.verifier->attestation().attest({"evil", 0});
    REQUIRE(report);
    CHECK(report->verdict == Verdict::untrusted);
    CHECK(report->cause == "not enrolled");
    CHECK(scene.verifier->last_audit().detail == "untrusted: not enrolled");
  }
  SECTION("by a host that is enrolled with a TPM of its own") {
    REQUIRE(scene.verifier->attestation().enrol({"evil"}));
    scene.network.instead = [&](const CallPeer& call) -> std::optional<Result<PeerReply>> {
      auto context = scene.network.context(call.connection, "evil");
      return scene.host->module->incoming_call({context, call.method, call.payload});
    };
    const auto report = scene.verifier->attestation().attest({"evil", 0});
    REQUIRE(report);
    CHECK(report->verdict == Verdict::untrusted);
    CHECK(report->cause.find("signature is not the attestation key's") != std::string::npos);
  }
  SECTION("of the verifier itself, sent back to it") {
    REQUIRE(scene.host->attestation().enrol({"verifier"}));
    scene.network.instead = [&](const CallPeer& call) -> std::optional<Result<PeerReply>> {
      // The same connection, the same nonce: only the attesting host's certificate differs.
      return scene.verifier->module->incoming_call(
          {scene.network.context(call.connection, "verifier"), call.method, call.payload});
    };
    CHECK(scene.attest().verdict == Verdict::untrusted);
  }
  SECTION("asked for under another host's name") {
    const auto connection = scene.network.connect("verifier", "evil");
    const auto report = scene.attest(connection);
    CHECK(report.verdict == Verdict::untrusted);
    CHECK(report.cause == "the connection is to host evil");
  }
}

TEST_CASE("another TPM in the host is untrusted") {
  if (!Swtpm::available()) return;
  Scene scene;
  scene.host->tpm.manufacture();
  scene.host->tpm.boot(scene.host->event_log);
  SECTION("its old key does not load there: no evidence comes") {
    const auto report = scene.attest();
    CHECK(report.verdict == Verdict::unreachable);
    CHECK(report.cause.find("it is not of this TPM, or the TPM was cleared") != std::string::npos);
  }
  SECTION("a new key is not the one that is enrolled") {
    scene.host->store.records.clear();
    REQUIRE_FALSE(scene.verifier->attestation().enrol({"host-a"}));
    scene.must_be_untrusted("signature is not the attestation key's");
  }
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
  CHECK_FALSE(attestation.attest({"host-a", 0}));
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

TEST_CASE("a host quotes only over a connection of the core, for a whole nonce") {
  if (!Swtpm::available()) return;
  Scene scene;
  const auto connection = scene.network.connect("verifier", "host-a");
  const auto ask = [&](const std::function<void(PeerContext&, QuoteRequest&)>& change) {
    auto context = scene.network.context(connection, "host-a");
    QuoteRequest request{std::string(32, 'n'), 0xff};
    change(context, request);
    return scene.host->module->incoming_call({context, kMethodQuote, wire::encode(request)});
  };
  CHECK(ask([](auto&, auto&) {}));
  CHECK(ask([](auto& c, auto&) { c.binding.clear(); }).error().code == Code::unauthenticated);
  CHECK(ask([](auto& c, auto&) { c.binding.pop_back(); }).error().code == Code::unauthenticated);
  CHECK(ask([](auto& c, auto&) { c.local_certificate.clear(); }).error().code == Code::unauthenticated);
  CHECK(ask([](auto&, auto& r) { r.nonce.pop_back(); }).error().code == Code::invalid_argument);
  CHECK(ask([](auto&, auto& r) { r.pcrs = 0; }).error().code == Code::invalid_argument);
  CHECK(ask([](auto&, auto& r) { r.pcrs = 1U << 24; }).error().code == Code::invalid_argument);
  const auto context = scene.network.context(connection, "host-a");
  CHECK(scene.host->module->incoming_call({context, 99, {}}).error().code == Code::unsupported);
  CHECK(scene.host->module->incoming_stream({context, {}}).error().code == Code::unsupported);
}

TEST_CASE("of 200 mutated quotes and logs none is accepted") {
  if (!Swtpm::available()) return;
  Scene scene;
  std::uint32_t seed = 1;
  const auto random = [&] { return (seed = seed * 1664525U + 1013904223U) >> 8; };
  // A change must reach what is decided on: digests, structure, or anything that is signed.
  std::string honest;
  scene.network.afterwards = [&](std::uint32_t, Result<PeerReply>& reply) { honest = reply->payload; };
  REQUIRE(scene.attest().verdict == Verdict::trusted);
  const auto good = wire::decode<Evidence>(honest).value();
  const auto key =
      parse_public(
          wire::decode<EnrolledHost>(scene.verifier->store.records.at("enrolled.host-a")).value().attestation_key,
          "key")
          .value();
  const auto reference = parse_reference(scene.reference, "ref").value();
  const QuoteDemand demand{parse_quote(good.attest).value().qualifying_data, kUsualPcrs};
  const auto verdict = [&](const Evidence& evidence) {
    AttestationReport report;
    judge(evidence, key, demand, reference, report);
    return report.verdict;
  };
  REQUIRE(verdict(good) == Verdict::trusted);
  for (int i = 0; i < 100; ++i) {
    Evidence bad = good;
    std::string& target = i % 2 == 0 ? bad.attest : bad.signature;
    target[random() % target.size()] ^= static_cast<char>(1U << (random() % 8));
    REQUIRE(verdict(bad) == Verdict::untrusted);
  }
  for (int i = 0; i < 100; ++i) {
    Evidence bad = good;
    const auto number = 1 + random() % 24;
    const auto place = digest_place(bad.event_log, number);
    switch (i % 4) {
      case 0:
        bad.event_log[place + random() % 32] ^= static_cast<char>(1U << (random() % 8));
        break;
      case 1:
        bad.event_log.resize(random() % bad.event_log.size());
        break;
      case 2:
        bad.event_log.insert(place, 1 + random() % 64, 'x');
        break;
      default:
        bad.event_log.erase(place, 1 + random() % 32);
    }
    REQUIRE(verdict(bad) == Verdict::untrusted);
  }
}

}  // namespace vmsec::boot::test
