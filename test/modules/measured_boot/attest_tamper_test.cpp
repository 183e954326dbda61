// Evidence that was tampered with, replayed or relayed.
#include "scene.hpp"

namespace vmsec::boot::test {

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
      e.claimed[7].value = replay(e.event_log)->values[7];
    });
    cause = "the event log does not lead to the PCRs that were quoted (0,1,2,3,4,5,6,7,9)";
  }
  SECTION("claims for more PCRs than a TPM has") {
    scene.change_evidence([](Evidence& e) { e.claimed.resize(25); });
    cause = "its answer is no evidence: decode vmsec.measured_boot.Evidence.claimed: more than 24 of them";
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

TEST_CASE("a host quotes only over a connection of the core, for a whole nonce") {
  if (!Swtpm::available()) return;
  Scene scene;
  const auto connection = scene.network.connect("verifier", "host-a");
  const auto ask = [&](const std::function<void(PeerContext&, QuoteRequest&)>& change) {
    auto context = scene.network.context(connection, "host-a");
    QuoteRequest request{std::string(32, 'n'), 0xff, 0x000b};
    change(context, request);
    return scene.host->module->incoming_call({context, kMethodQuote, wire::encode(request)});
  };
  CHECK(ask([](auto&, auto&) {}));
  CHECK(ask([](auto&, auto& r) { r.bank = 0x7777; }).error().code == Code::invalid_argument);
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
