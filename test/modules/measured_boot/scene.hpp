// A verifier and a host that it has enrolled, and whose boot it has learned.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "hosts.hpp"

namespace vmsec::boot::test {

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
inline std::size_t digest_place(const std::string& log, std::uint32_t number) {
  auto reader = EventLogReader::open(log).value();
  while (true) {
    const auto event = reader.next().value();
    REQUIRE(event);
    if (event->number == number) return static_cast<std::size_t>(event->digest(Hash::sha256)->data() - log.data());
  }
}

inline std::size_t type_place(const std::string& log, std::uint32_t number) {
  auto reader = EventLogReader::open(log).value();
  while (true) {
    const auto event = reader.next().value();
    REQUIRE(event);
    if (event->number == number) return event->offset + 4;
  }
}

}  // namespace vmsec::boot::test
