// Continuous attestation: when hosts are asked, what becomes of each state, and revocation.
#include "watch.hpp"

#include <condition_variable>
#include <set>

#include "scene.hpp"

namespace vmsec::boot::test {
namespace {

using std::chrono::seconds;

// A clock that only the test moves, and hosts that only count.
struct Schedule {
  SteadyTime time{seconds(1000)};
  std::vector<std::string> visited;
  int sweeps = 0;
  Watch watch;

  explicit Schedule(seconds interval)
      : watch(
            interval, [this] { return time; }, [this](const std::string& host) { visited.push_back(host); },
            [this](SteadyTime) { ++sweeps; }) {}
};

// The scene, watched; the test's clock is the verifier's.
struct Watched : Scene {
  std::uint64_t heard = 0;

  Watched() {
    config.watch = seconds(60);
    network.restart(*verifier, config);
  }
  // As much later as every host is due in.
  void round() {
    verifier->now += seconds(67);
    verifier->module->watch().run_due();
  }
  AttestationChanges changes() {
    auto next = verifier->attestation().next({heard, {}, 0}).value();
    heard = next.last;
    return next;
  }
  HostVerdict status() { return verifier->attestation().status({"host-a"}).value().hosts.at(0); }
  void must_become(Verdict verdict, const std::string& cause) {
    round();
    const auto heard_of = changes().changes;
    REQUIRE(heard_of.size() == 1);
    CHECK(heard_of[0].host == "host-a");
    CHECK(heard_of[0].after == verdict);
    INFO(heard_of[0].cause);
    CHECK(heard_of[0].cause.find(cause) != std::string::npos);
    CHECK(status().verdict == verdict);
    CHECK(status().cause == heard_of[0].cause);
  }
  Result<HostVerdict> revoke(const std::string& reason = "stolen") {
    return verifier->attestation().revoke({"host-a", reason, "eve", false});
  }
};

}  // namespace

TEST_CASE("many hosts are spread over the interval, and each comes again within a tenth of it") {
  Schedule schedule(seconds(100));
  for (int i = 0; i < 1000; ++i) schedule.watch.add("host-" + std::to_string(i));
  std::size_t most = 0;
  const SteadyTime end = schedule.time + seconds(100);
  while (schedule.time <= end) {
    most = std::max(most, schedule.watch.run_due());
    schedule.time += seconds(1);
  }
  CHECK(most < 100);  // 10 in the middle
  CHECK(std::set<std::string>(schedule.visited.begin(), schedule.visited.end()).size() == 1000);
  CHECK(schedule.sweeps >= 9);
}

TEST_CASE("a host is due again after nine to eleven tenths of the interval") {
  Schedule schedule(seconds(1000));
  schedule.watch.add_now("host-a");
  std::set<SteadyTime::rep> waits;
  for (int i = 0; i < 50; ++i) {
    REQUIRE(schedule.watch.run_due() == 1);
    CHECK(schedule.watch.run_due() == 0);
    const auto wait = *schedule.watch.next_due() - schedule.time;
    CHECK(wait >= seconds(899));
    CHECK(wait <= seconds(1100));
    waits.insert(wait.count());
    schedule.time = *schedule.watch.next_due();
  }
  CHECK(waits.size() > 40);
}

TEST_CASE("a host that is added anew is due at once, and only once") {
  Schedule schedule(seconds(1000));
  schedule.watch.add("host-a");
  schedule.watch.add_now("host-a");
  CHECK(schedule.watch.run_due() == 1);
  schedule.time += seconds(1100);
  CHECK(schedule.watch.run_due() == 1);
}

TEST_CASE("without an interval nothing is ever due, and no thread runs") {
  Schedule schedule(seconds(0));
  schedule.watch.add("host-a");
  schedule.watch.start();
  CHECK(schedule.watch.threads() == 0);
  CHECK_FALSE(schedule.watch.next_due());
}

TEST_CASE("threads visit at once no more hosts than are allowed, and stop waits for them") {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t at_once = 0;
  std::size_t most = 0;
  bool go_on = false;
  Watch watch(
      seconds(5), [] { return std::chrono::steady_clock::now(); },
      [&](const std::string&) {
        std::unique_lock lock(mutex);
        most = std::max(most, ++at_once);
        changed.notify_all();
        changed.wait(lock, [&] { return go_on; });
        --at_once;
      },
      [](SteadyTime) {});
  watch.start();
  CHECK(watch.threads() == 0);
  for (int i = 0; i < 100; ++i) watch.add_now("host-" + std::to_string(i));
  CHECK(watch.threads() == kAttestedAtOnce);
  {
    std::unique_lock lock(mutex);
    CHECK(changed.wait_for(lock, seconds(30), [&] { return at_once == kAttestedAtOnce; }));
    go_on = true;
    changed.notify_all();
  }
  watch.stop();
  CHECK(most == kAttestedAtOnce);
  CHECK(at_once == 0);
}

TEST_CASE("an enrolled host is attested again and again, and only a change is told") {
  if (!Swtpm::available()) return;
  Watched scene;
  CHECK(scene.status().verdict == Verdict::unknown);
  CHECK(scene.verifier->attestation().status({}).value().watch_seconds == 60);
  scene.must_become(Verdict::trusted, "");
  const auto audited = scene.verifier->store.audit.size();
  scene.round();
  scene.round();
  CHECK(scene.changes().changes.empty());
  CHECK(scene.verifier->store.audit.size() == audited);
  CHECK(scene.status().age == 0);
  CHECK(scene.network.open_lines() == 0);
}

TEST_CASE("each state has its own verdict and its own event, and a host comes back from each") {
  if (!Swtpm::available()) return;
  Watched scene;
  scene.must_become(Verdict::trusted, "");
  SECTION("its TPM is gone") {
    scene.host->tpm.stop();
    scene.must_become(Verdict::unreachable, "no evidence came: open the TPM at swtpm:");
    scene.host->tpm.start();
    scene.host->tpm.boot(scene.host->event_log);
  }
  SECTION("its agent is stopped") {
    scene.network.refused.insert("host-a");
    scene.must_become(Verdict::unreachable, "connection refused");
    scene.network.refused.clear();
  }
  SECTION("the network is cut") {
    scene.network.instead = [](const CallPeer&) -> std::optional<Result<PeerReply>> {
      return fail(Code::timeout, "no answer within 30 s");
    };
    scene.must_become(Verdict::unreachable, "no evidence came: no answer within 30 s");
    scene.network.instead = nullptr;
  }
  SECTION("it answers late") {
    scene.network.afterwards = [&](std::uint32_t, Result<PeerReply>&) { scene.verifier->now += seconds(31); };
    scene.must_become(Verdict::stale, "the evidence took 31 s");
    scene.network.afterwards = nullptr;
  }
  SECTION("its evidence is bad") {
    scene.change_evidence([](Evidence& evidence) { evidence.signature.back() ^= 1; });
    scene.must_become(Verdict::untrusted, "");
    scene.network.afterwards = nullptr;
  }
  SECTION("its certificate does not verify: nobody can tell") {
    scene.network.forged.insert("host-a");
    scene.must_become(Verdict::unknown, "certificate of another authority");
    scene.network.forged.clear();
  }
  scene.must_become(Verdict::trusted, "");
  CHECK(scene.verifier->last_audit().action == "measured_boot.verdict");
  CHECK(scene.verifier->last_audit().outcome == Outcome::succeeded);
}

TEST_CASE("a host that nobody gets round to attest is stale, and no longer trusted") {
  if (!Swtpm::available()) return;
  Watched scene;
  scene.must_become(Verdict::trusted, "");
  scene.verifier->now += seconds(151);  // twice the interval, and max_age
  CHECK(scene.status().verdict == Verdict::stale);
  CHECK(scene.changes().changes.at(0).after == Verdict::stale);
}

TEST_CASE("what another asks about a host counts as the watch's own word") {
  if (!Swtpm::available()) return;
  Watched scene;
  scene.must_become(Verdict::trusted, "");
  scene.host->tpm.extend(7, std::string(32, 'x'));
  const auto connection = scene.network.connect("verifier", "host-a");
  CHECK(scene.verifier->attestation().attest({"", connection}).value().verdict == Verdict::untrusted);
  CHECK(scene.changes().changes.at(0).after == Verdict::untrusted);
}

TEST_CASE("a connection to another host says nothing about the one that was named") {
  if (!Swtpm::available()) return;
  Watched scene;
  scene.must_become(Verdict::trusted, "");
  scene.network.add("host-b");
  const auto connection = scene.network.connect("verifier", "host-b");
  CHECK(scene.attest(connection).verdict == Verdict::untrusted);
  CHECK(scene.status().verdict == Verdict::trusted);
}

TEST_CASE("a revoked host is untrusted and is not asked, also after a restart") {
  if (!Swtpm::available()) return;
  Watched scene;
  scene.must_become(Verdict::trusted, "");
  const auto revoked = scene.revoke();
  REQUIRE(revoked);
  CHECK(revoked->verdict == Verdict::untrusted);
  CHECK(revoked->revoked);
  const auto heard = scene.changes().changes;
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].before == Verdict::trusted);
  CHECK(heard[0].cause == "revoked by an operator: stolen");
  CHECK(scene.verifier->last_audit().action == "measured_boot.revoke");
  CHECK(scene.verifier->last_audit().detail == "stolen; by eve");
  bool asked = false;
  scene.network.instead = [&](const CallPeer&) -> std::optional<Result<PeerReply>> {
    asked = true;
    return std::nullopt;
  };
  scene.must_be_untrusted("revoked by an operator: stolen");
  const auto connection = scene.network.connect("verifier", "host-a");
  CHECK(scene.verifier->attestation().attest({"", connection}).value().cause == "revoked by an operator: stolen");
  scene.network.restart(*scene.verifier, scene.config);
  scene.must_be_untrusted("revoked by an operator: stolen");
  scene.round();
  CHECK(scene.status().revoked);
  CHECK(scene.status().verdict == Verdict::untrusted);
  CHECK_FALSE(asked);
}

TEST_CASE("a revocation is taken back, or the host is enrolled anew with the operator's word") {
  if (!Swtpm::available()) return;
  Watched scene;
  auto& attestation = scene.verifier->attestation();
  REQUIRE(scene.revoke());
  SECTION("taken back") {
    CHECK(attestation.revoke({"host-a", "found again", "eve", true}).value().verdict == Verdict::unknown);
    const auto& audit = scene.verifier->store.audit;
    CHECK(audit.at(audit.size() - 2).action == "measured_boot.reinstate");
    CHECK(audit.at(audit.size() - 2).detail == "found again; by eve; it was revoked by an operator: stolen");
    CHECK(audit.back().detail.starts_with("untrusted to unknown: reinstated"));
    CHECK(attestation.revoke({"host-a", "again", {}, true}).error().code == Code::wrong_state);
  }
  SECTION("enrolled anew") {
    CHECK(attestation.enrol({"host-a", false}).error().code == Code::revoked);
    CHECK(scene.attest().verdict == Verdict::untrusted);
    REQUIRE(attestation.enrol({"host-a", true}));
    CHECK(scene.status().verdict == Verdict::unknown);
  }
  CHECK_FALSE(scene.status().revoked);
  CHECK(scene.attest().verdict == Verdict::trusted);
}

TEST_CASE("a revocation that comes while the host is asked counts, and ends the connection to it") {
  if (!Swtpm::available()) return;
  Watched scene;
  std::size_t open = 1;
  scene.network.afterwards = [&](std::uint32_t method, Result<PeerReply>&) {
    if (method != kMethodQuote) return;
    REQUIRE(scene.network.open_lines() == 1);
    REQUIRE(scene.revoke());
    open = scene.network.open_lines();
  };
  CHECK(scene.attest().cause == "revoked by an operator: stolen");
  CHECK(open == 0);
  CHECK(scene.status().verdict == Verdict::untrusted);
}

TEST_CASE("a revocation that comes while the host is enrolled anew outlives that") {
  if (!Swtpm::available()) return;
  Watched scene;
  bool come = false;
  scene.network.afterwards = [&](std::uint32_t method, Result<PeerReply>&) {
    if (method == kMethodActivate && !come) come = scene.revoke().has_value();
  };
  const bool replace = GENERATE(false, true);
  const auto enrolled = scene.verifier->attestation().enrol({"host-a", replace});
  CHECK(come);
  CHECK(enrolled.error().code == Code::revoked);
  scene.network.afterwards = nullptr;
  CHECK(scene.attest().cause == "revoked by an operator: stolen");
  scene.network.restart(*scene.verifier, scene.config);
  CHECK(scene.attest().cause == "revoked by an operator: stolen");
}

TEST_CASE("a revocation needs a reason and an enrolled host, and is in force where it cannot be audited") {
  if (!Swtpm::available()) return;
  Watched scene;
  auto& attestation = scene.verifier->attestation();
  CHECK(scene.revoke("").error().code == Code::invalid_argument);
  CHECK(scene.revoke(std::string(257, 'x')).error().code == Code::invalid_argument);
  CHECK(attestation.revoke({"host-z", "gone", {}, false}).error().code == Code::not_found);
  CHECK(attestation.revoke({"../host", "gone", {}, false}).error().code == Code::invalid_argument);
  CHECK(attestation.status({"host-z"}).error().code == Code::not_found);
  scene.verifier->store.audit_fails = true;
  CHECK_FALSE(scene.revoke());
  CHECK(scene.attest().verdict == Verdict::untrusted);
  CHECK_FALSE(attestation.revoke({"host-a", "found again", {}, true}));
  CHECK(scene.attest().verdict == Verdict::untrusted);
}

TEST_CASE("a damaged record of a revocation revokes") {
  if (!Swtpm::available()) return;
  Watched scene;
  REQUIRE(scene.revoke());
  scene.verifier->store.records["revoked.host-a"] = "\x0a\xff";
  scene.network.restart(*scene.verifier, scene.config);
  CHECK(scene.status().verdict == Verdict::untrusted);
  scene.must_be_untrusted("the record revoked.host-a is damaged");
}

}  // namespace vmsec::boot::test
