// Two modules against each other: what moves, and what is refused.
#include <catch2/catch.hpp>
#include <future>

#include "fake_host.hpp"

using namespace vmsec;
using namespace vmsec::migration;
using namespace vmsec::migration::test;

namespace {

const std::vector<Setting> kAllowNone{text_setting("encryption", "allow-none")};
const std::vector<Setting> kTls{text_setting("suite", "tls")};

void expect_refused(Pair& pair, const MigrationStatus& status, Code code) {
  INFO(status.cause);
  CHECK(status.state == MigrationState::failed);
  CHECK(status.code == code);
  CHECK(status.bytes_sent.value == 0);
  CHECK(pair.a.hypervisor.guest_bytes_written() == 0);
  CHECK(pair.runs_at_source());
  CHECK(pair.b.hypervisor.state(kDomain) == DomainState::unknown);
  CHECK_FALSE(pair.watch.violated());
}

}  // namespace

TEST_CASE("a guest moves whole, and runs at the destination only") {
  const auto cipher = GENERATE(Cipher::policy, Cipher::aes_256_gcm, Cipher::chacha20_poly1305);
  const auto main = GENERATE(MainChannel::closed_at_the_end, MainChannel::kept_open);
  Pair pair;
  pair.a.hypervisor.behaviour.main = main;
  const MigrationStatus status = pair.run(cipher);
  INFO(status.cause);
  REQUIRE(status.state == MigrationState::completed);
  CHECK(pair.runs_at_destination());
  CHECK(pair.b.hypervisor.memory(kDomain) == pair.memory);
  CHECK_FALSE(pair.b.hypervisor.held(kDomain));
  CHECK_FALSE(pair.watch.violated());
  CHECK(status.guest_bytes.value == pair.memory.size() + 3 * 12);
  CHECK(status.bytes_sent.value > status.guest_bytes.value);
  CHECK(status.streams == 4);
  CHECK(status.downtime.value > 0);
  CHECK(status.total_time.value >= status.downtime.value);
  CHECK(status.local_cpu.value > 0);
  CHECK(status.peer_cpu.value > 0);
  CHECK(status.attested == "host-b: trusted");
  CHECK(status.cipher.find("by OpenSSL") != std::string::npos);
  CHECK(status.outgoing);
  CHECK(status.peer == "host-b");
  CHECK(status.name == "web-1");
  CHECK(status.started.value > 0);
  CHECK(pair.a.audited("migration.commit", Outcome::succeeded));
  CHECK(pair.b.audited("migration.commit", Outcome::succeeded));
  const auto there = pair.b.module()->status({status.migration, {}});
  REQUIRE(there);
  CHECK(there->state == MigrationState::completed);
  CHECK_FALSE(there->outgoing);
}

TEST_CASE("the report names the cipher that was used") {
  Pair pair;
  CHECK(pair.run().cipher.starts_with("AES-128-GCM by OpenSSL 3"));
}

TEST_CASE("the report names the disks that were copied, and why the others were not") {
  Pair pair;
  pair.a.hypervisor.behaviour.disks = {{"vda", {1 << 20}, ""}, {"vdb", {}, "read-only"}};
  CHECK(pair.run().disks.empty());
  Pair copies;
  copies.copy_disks = true;
  copies.a.hypervisor.behaviour.disks = {{"vda", {1 << 20}, ""}, {"vdb", {}, "read-only"}};
  const MigrationStatus status = copies.run();
  INFO(status.cause);
  CHECK(status.state == MigrationState::completed);
  CHECK(status.disks == "vda copied; vdb not: read-only");
}

TEST_CASE("a hypervisor that copies no disks is not asked to move the guest without them") {
  Pair pair;
  pair.copy_disks = true;
  expect_refused(pair, pair.run(), Code::unsupported);
}

TEST_CASE("each end chooses its accelerator for itself, and says what it used") {
  if (!check_accelerator(Accelerator::vaes)) {
    WARN("skipped: no accelerator here");
    return;
  }
  const std::vector<Setting> fast{text_setting("accelerator", "vaes")};
  const bool at_source = GENERATE(true, false);
  Pair pair(at_source ? fast : std::vector<Setting>{}, at_source ? std::vector<Setting>{} : fast);
  const MigrationStatus status = pair.run();
  INFO(status.cause);
  REQUIRE(status.state == MigrationState::completed);
  CHECK(pair.b.hypervisor.memory(kDomain) == pair.memory);
  const auto there = pair.b.module()->status({status.migration, {}});
  REQUIRE(there);
  const std::string& fast_end = at_source ? status.cipher : there->cipher;
  const std::string& other_end = at_source ? there->cipher : status.cipher;
  CHECK(fast_end.starts_with("AES-128-GCM by vmsec VAES"));
  CHECK(other_end.starts_with("AES-128-GCM by OpenSSL 3"));
}

TEST_CASE("with suite tls at both ends a guest moves whole, and the report says how") {
  const auto cipher = GENERATE(Cipher::policy, Cipher::aes_256_gcm, Cipher::chacha20_poly1305);
  const auto main = GENERATE(MainChannel::closed_at_the_end, MainChannel::kept_open);
  Pair pair(kTls, kTls);
  pair.a.hypervisor.behaviour.main = main;
  const MigrationStatus status = pair.run(cipher);
  INFO(status.cause);
  REQUIRE(status.state == MigrationState::completed);
  CHECK(pair.runs_at_destination());
  CHECK(pair.b.hypervisor.memory(kDomain) == pair.memory);
  CHECK(status.guest_bytes.value == pair.memory.size() + 3 * 12);
  CHECK(status.bytes_sent.value > status.guest_bytes.value);
  CHECK(status.cipher.starts_with("TLS_"));
  CHECK(status.cipher.ends_with(", suite tls"));
  const auto there = pair.b.module()->status({status.migration, {}});
  REQUIRE(there);
  CHECK(there->cipher == status.cipher);
  CHECK_FALSE(pair.watch.violated());
}

TEST_CASE("hosts with different suites refuse each other before a byte of the guest") {
  const bool at_source = GENERATE(true, false);
  Pair pair(at_source ? kTls : std::vector<Setting>{}, at_source ? std::vector<Setting>{} : kTls);
  const MigrationStatus status = pair.run();
  expect_refused(pair, status, Code::denied);
  CHECK(status.cause.find(at_source ? "suite tls" : "suite bulk") != std::string::npos);
  CHECK(status.cause.find(at_source ? "wants suite bulk" : "wants suite tls") != std::string::npos);
  CHECK(pair.b.audited("migration.accept", Outcome::refused));
  CHECK(pair.b.spent.empty());
  CHECK(pair.network.streams == 0);
}

TEST_CASE("suite tls is refused with cipher none, also where both ends allow it") {
  std::vector<Setting> both = kTls;
  both.push_back(kAllowNone[0]);
  Pair pair(both, both);
  const MigrationStatus status = pair.run(Cipher::none);
  expect_refused(pair, status, Code::invalid_argument);
  CHECK(status.cause.find("cipher none and suite tls") != std::string::npos);
}

TEST_CASE("cipher none needs both ends to allow it in so many words") {
  SECTION("both allow it") {
    Pair pair(kAllowNone, kAllowNone);
    const MigrationStatus status = pair.run(Cipher::none);
    INFO(status.cause);
    CHECK(status.state == MigrationState::completed);
    CHECK(status.cipher.starts_with("none (authenticated"));
    CHECK(pair.b.hypervisor.memory(kDomain) == pair.memory);
  }
  SECTION("only the source allows it") {
    Pair pair(kAllowNone, {});
    expect_refused(pair, pair.run(Cipher::none), Code::denied);
    CHECK(pair.b.audited("migration.accept", Outcome::refused));
  }
  SECTION("only the destination allows it") {
    Pair pair({}, kAllowNone);
    expect_refused(pair, pair.run(Cipher::none), Code::denied);
    CHECK(pair.a.audited("migration.start", Outcome::refused));
  }
  SECTION("nobody allows it") {
    Pair pair;
    expect_refused(pair, pair.run(Cipher::none), Code::denied);
  }
}

TEST_CASE("a destination whose source requires encryption refuses cipher none even when it is asked") {
  Pair pair(kAllowNone, kAllowNone);
  PrepareRequest request{kProtocolVersion,
                         *random_uuid(),
                         "ticket-x",
                         *pair.a.hypervisor.describe({kDomain}),
                         {},
                         Cipher::none,
                         EncryptionPolicy::required,
                         std::string(32, 's'),
                         0,
                         StreamSuite::bulk};
  const auto reply = pair.b.module()->incoming_call(
      {{"host-a", "host-b", "certificate of host-a", "c", 9, {}}, 1, wire::encode(request)});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Code::denied);
}

TEST_CASE("nothing leaves for a destination that is not proven") {
  Pair pair;
  SECTION("untrusted") {
    pair.a.verdict = Verdict::untrusted;
    const MigrationStatus status = pair.run();
    expect_refused(pair, status, Code::untrusted);
    CHECK(status.cause.find("PCR 4") != std::string::npos);
    CHECK(pair.a.audited("migration.start", Outcome::refused));
  }
  SECTION("unreachable") {
    pair.a.verdict = Verdict::unreachable;
    expect_refused(pair, pair.run(), Code::unavailable);
  }
  SECTION("stale") {
    pair.a.verdict = Verdict::stale;
    expect_refused(pair, pair.run(), Code::expired);
  }
  SECTION("no module can tell") {
    pair.a.has_attestation = false;
    expect_refused(pair, pair.run(), Code::not_found);
  }
  CHECK(pair.network.streams == 0);
  CHECK(pair.a.spent.empty());
  CHECK(pair.b.disk.empty());
}

TEST_CASE("a host whose configuration asks for no attestation asks nobody") {
  Pair pair({text_setting("attestation", "none")});
  pair.a.verdict = Verdict::untrusted;
  const MigrationStatus status = pair.run();
  CHECK(status.state == MigrationState::completed);
  CHECK(status.attested.find("nobody") == 0);
  CHECK(pair.a.attestations == 0);
}

TEST_CASE("evidence that is refuted in mid-migration keeps the guest here") {
  Pair pair({text_setting("attestation_max_age", "200 ms")});
  pair.a.hypervisor.behaviour.hang_after = 100'000;
  const auto begun = pair.migrate();
  REQUIRE(begun);
  REQUIRE(eventually([&] { return pair.a.attestations >= 2; }));
  {
    const std::lock_guard lock(pair.a.mutex);
    pair.a.verdict = Verdict::untrusted;
  }
  const auto status = pair.a.module()->status({begun->migration, {60'000'000}});
  REQUIRE(status);
  INFO(status->cause);
  CHECK(status->state == MigrationState::failed);
  CHECK(status->code == Code::untrusted);
  CHECK(pair.runs_at_source());
  CHECK_FALSE(pair.watch.violated());
}

TEST_CASE("a ticket that does not hold moves nothing") {
  Pair pair;
  SECTION("spent at the source") {
    pair.a.spent.insert("ticket-1");
    expect_refused(pair, pair.run(), Code::denied);
    CHECK(pair.b.spent.empty());
  }
  SECTION("spent at the destination") {
    pair.b.spent.insert("ticket-1");
    expect_refused(pair, pair.run(), Code::denied);
    CHECK(pair.b.audited("migration.accept", Outcome::refused));
  }
  CHECK(pair.b.disk.empty());
}

TEST_CASE("who has no ticket takes no place: neither the domain's nor one of those for incoming migrations") {
  Pair pair({}, {integer_setting("max_incoming", 1)});
  std::promise<void> looked_at;
  std::promise<void> go_on;
  pair.b.at_ticket = [&, waits = go_on.get_future().share()](const std::string& ticket) {
    if (ticket != "nonsense") return;
    looked_at.set_value();
    waits.wait();
  };
  const PrepareRequest request{kProtocolVersion,
                               *random_uuid(),
                               "nonsense",
                               *pair.a.hypervisor.describe({kDomain}),
                               {},
                               Cipher::aes_128_gcm,
                               EncryptionPolicy::required,
                               std::string(32, 's'),
                               0,
                               StreamSuite::bulk};
  auto refused = std::async(std::launch::async, [&] {
    return pair.b.module()->incoming_call(
        {{"host-c", "host-b", "certificate of host-c", "c", 9, {}}, 1, wire::encode(request)});
  });
  looked_at.get_future().wait();
  // An honest migration of that very domain, while the other one's ticket is still looked at.
  const MigrationStatus status = pair.run();
  go_on.set_value();
  INFO(status.cause);
  CHECK(status.state == MigrationState::completed);
  const auto reply = refused.get();
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Code::denied);
  CHECK(pair.b.audited("migration.accept", Outcome::refused));
}

TEST_CASE("a ticket is spent at both ends before anything is prepared") {
  Pair pair;
  pair.b.hypervisor.behaviour.refuse_prepare = true;
  expect_refused(pair, pair.run(), Code::denied);
  CHECK(pair.a.spent.contains("ticket-1"));
  CHECK(pair.b.spent.contains("ticket-1"));
  CHECK(pair.a.undecided() == 0);
  CHECK(pair.b.undecided() == 0);
}

TEST_CASE("a destination that is revoked during the transfer does not get the guest") {
  Pair pair;
  pair.a.peer_revoked = true;
  const MigrationStatus status = pair.run();
  INFO(status.cause);
  CHECK(status.state == MigrationState::failed);
  CHECK(status.code == Code::unauthenticated);
  CHECK(pair.runs_at_source());
  CHECK(eventually([&] { return pair.b.hypervisor.state(kDomain) == DomainState::unknown; }));
  CHECK(pair.a.audited("migration.switch", Outcome::refused));
  CHECK(eventually([&] { return pair.b.undecided() == 0; }));
}

TEST_CASE("a source that is revoked during the transfer does not get its guest loaded") {
  Pair pair;
  pair.b.peer_revoked = true;
  const MigrationStatus status = pair.run();
  INFO(status.cause);
  CHECK(status.state == MigrationState::failed);
  CHECK(pair.runs_at_source());
  CHECK(eventually([&] { return pair.b.hypervisor.state(kDomain) == DomainState::unknown; }));
  CHECK(eventually([&] { return pair.b.audited("migration.abort", Outcome::refused); }));
  CHECK_FALSE(pair.b.audited("migration.load", Outcome::succeeded));
  CHECK(eventually([&] { return pair.b.undecided() == 0; }));
}

TEST_CASE("a failed load at the destination leaves the guest at the source") {
  Pair pair;
  pair.b.hypervisor.behaviour.fail_load = true;
  const MigrationStatus status = pair.run();
  CHECK(status.state == MigrationState::failed);
  CHECK(pair.runs_at_source());
  CHECK(eventually([&] { return pair.b.undecided() == 0; }));
  CHECK_FALSE(pair.watch.violated());
}

TEST_CASE("a migration in which nothing moves is given up") {
  Pair pair({text_setting("stall_timeout", "300 ms")});
  pair.a.hypervisor.behaviour.never_sends = true;
  const MigrationStatus status = pair.run();
  CHECK(status.state == MigrationState::failed);
  CHECK(status.code == Code::timeout);
  CHECK(pair.runs_at_source());
  CHECK(eventually([&] { return pair.b.undecided() == 0; }));
}

TEST_CASE("a migration that does not get to its switch-over within the maximum time is given up") {
  Pair pair({text_setting("maximum_time", "300 ms")});
  pair.a.hypervisor.behaviour.hang_after = 100'000;
  const MigrationStatus status = pair.run();
  INFO(status.cause);
  CHECK(status.state == MigrationState::failed);
  CHECK(status.code == Code::timeout);
  CHECK(status.cause.find("maximum time, 300 ms") != std::string::npos);
  CHECK(pair.runs_at_source());
  CHECK(eventually([&] { return pair.b.undecided() == 0; }));
  CHECK_FALSE(pair.watch.violated());
}

TEST_CASE("an abort before the switch-over leaves the guest at the source") {
  Pair pair;
  pair.a.hypervisor.behaviour.hang_after = 100'000;
  const auto begun = pair.migrate();
  REQUIRE(begun);
  REQUIRE(eventually([&] { return pair.network.streams == 4; }));
  const auto aborted = pair.a.module()->abort({begun->migration, {60'000'000}});
  REQUIRE(aborted);
  CHECK(aborted->state == MigrationState::failed);
  CHECK(aborted->code == Code::cancelled);
  CHECK(pair.runs_at_source());
  CHECK(eventually([&] { return pair.b.undecided() == 0; }));
  const auto again = pair.a.module()->abort({begun->migration, {}});
  CHECK_FALSE(again);
}

TEST_CASE("one migration of a domain at a time") {
  Pair pair;
  pair.a.hypervisor.behaviour.hang_after = 100'000;
  const auto begun = pair.migrate();
  REQUIRE(begun);
  const auto second = pair.migrate();
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Code::already_exists);
  CHECK(pair.a.module()->abort({begun->migration, {60'000'000}}));
}

TEST_CASE("what cannot be audited does not happen") {
  Pair pair;
  SECTION("at the source") {
    pair.a.audit_fails = true;
    CHECK(pair.run().state == MigrationState::failed);
    CHECK(pair.b.spent.empty());
  }
  SECTION("at the destination") {
    pair.b.audit_fails = true;
    CHECK(pair.run().state == MigrationState::failed);
  }
  CHECK(pair.runs_at_source());
  CHECK(pair.a.hypervisor.guest_bytes_written() == 0);
}

TEST_CASE("a record that cannot be written stops the step that it stands for") {
  Pair pair;
  SECTION("gated, at the source: the guest goes on") {
    pair.a.records_fail_at = "gated";
    CHECK(pair.run().state == MigrationState::failed);
    CHECK(pair.runs_at_source());
  }
  SECTION("gated, at the destination: the guest goes on") {
    pair.b.records_fail_at = "gated";
    CHECK(pair.run().state == MigrationState::failed);
    CHECK(pair.runs_at_source());
  }
  SECTION("COMMIT, at the source: nobody runs it until it is resolved") {
    pair.a.records_fail_at = "committed";
    const MigrationStatus status = pair.run();
    CHECK(status.state == MigrationState::in_doubt);
    CHECK_FALSE(pair.runs_at_source());
    CHECK_FALSE(pair.runs_at_destination());
    CHECK(pair.b.hypervisor.held(kDomain));
    pair.a.records_fail_at.clear();
    REQUIRE(pair.a.module()->resolve({}));
    CHECK(pair.runs_at_destination());
  }
  CHECK_FALSE(pair.watch.violated());
}

TEST_CASE("a guest that came back can leave again") {
  Pair pair;
  REQUIRE(pair.run().state == MigrationState::completed);
  MigrateRequest request;
  request.domain = kDomain;
  request.destination = "host-a";
  request.ticket = "ticket-back";
  const auto begun = pair.b.module()->migrate(request);
  REQUIRE(begun);
  const auto back = pair.b.module()->status({begun->migration, {60'000'000}});
  INFO(back->cause);
  CHECK(back->state == MigrationState::completed);
  CHECK(pair.a.hypervisor.state(kDomain) == DomainState::running);
  CHECK(pair.a.hypervisor.memory(kDomain) == pair.memory);
  CHECK_FALSE(pair.watch.violated());
}
