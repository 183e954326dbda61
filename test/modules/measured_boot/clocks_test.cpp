// Counters that go back: a TPM's older state, restored or cloned.
#include "clocks.hpp"

#include "evidence/soft_key.hpp"
#include "map_records.hpp"
#include "scene.hpp"

namespace vmsec::boot::test {
namespace {

namespace fs = std::filesystem;

Quote reading(std::uint32_t resets, std::uint32_t restarts, std::uint64_t clock) {
  Quote quote;
  quote.reset_count = resets;
  quote.restart_count = restarts;
  quote.clock = clock;
  return quote;
}

constexpr std::uint64_t kMinute = 60'000;

// As one that asks and hears.
Result<std::uint32_t> checked(Clocks& clocks, const std::string& host, const TpmPublic& key, const Quote& quote) {
  VMSEC_TRY(const auto before, clocks.seen(host, key));
  return clocks.check(host, key, quote, before);
}
Result<std::uint32_t> checked(Clocks&& clocks, const std::string& host, const TpmPublic& key, const Quote& quote) {
  return checked(clocks, host, key, quote);
}

// A copy of a TPM's state, to be put back. The TPM is stopped after both.
class CopiedState {
 public:
  CopiedState(Swtpm& tpm, const Scene& scene) : tpm_(tpm), copy_(scene.folder.path() / "copy") {
    tpm_.stop();
    fs::copy(tpm_.state(), copy_, kOptions);
  }
  void put_back() {
    tpm_.stop();
    fs::copy(copy_, tpm_.state(), kOptions);
  }

 private:
  static constexpr auto kOptions = fs::copy_options::recursive | fs::copy_options::overwrite_existing;
  Swtpm& tpm_;
  const fs::path copy_;
};

}  // namespace

TEST_CASE("two quotes that were under way at once are verified in either order") {
  MapRecords records;
  Clocks clocks(records);
  const auto key = SoftKey().area();
  REQUIRE(checked(clocks, "a", key, reading(3, 1, 1000)));
  const auto both = clocks.seen("a", key).value();
  CHECK(clocks.check("a", key, reading(4, 0, 3000), both).value() == 1);
  CHECK(clocks.check("a", key, reading(3, 1, 2000), both).value() == 0);
  // And what was newest stays so for all that are asked later.
  CHECK_FALSE(checked(clocks, "a", key, reading(3, 1, 2500)));
  CHECK_FALSE(checked(clocks, "a", key, reading(4, 0, 2999)));
  CHECK(checked(clocks, "a", key, reading(4, 0, 3000)));
}

TEST_CASE("counters that go on are accepted, and a reset is told") {
  MapRecords records;
  Clocks clocks(records);
  const auto key = SoftKey().area();
  CHECK(checked(clocks, "a", key, reading(3, 1, 1000)).value() == 0);
  CHECK(checked(clocks, "a", key, reading(3, 1, 1000)).value() == 0);
  CHECK(checked(clocks, "a", key, reading(3, 2, 1001)).value() == 0);
  CHECK(checked(clocks, "a", key, reading(5, 0, 1002)).value() == 2);
  CHECK(checked(clocks, "b", key, reading(1, 0, 1)).value() == 0);
}

TEST_CASE("a counter that goes back is refused by its name and both values, also by a verifier that was restarted") {
  MapRecords records;
  const auto key = SoftKey().area();
  Clocks first(records);
  REQUIRE(checked(first, "a", key, reading(3, 2, 5000)));
  Clocks second(records);
  for (Clocks* clocks : {&first, &second}) {
    const auto cause = [&](const Quote& quote) {
      const auto refused = checked(*clocks, "a", key, quote);
      REQUIRE_FALSE(refused);
      CHECK(refused.error().code == Code::untrusted);
      return refused.error().message;
    };
    CHECK(cause(reading(2, 2, 6000)).starts_with("the TPM's reset counter went back from 3 to 2: "));
    CHECK(cause(reading(3, 1, 6000)).starts_with("the TPM's restart counter went back from 2 to 1: "));
    CHECK(cause(reading(3, 2, 4999)).starts_with("the TPM's clock (ms) went back from 5000 to 4999: "));
    // A refused quote changes nothing.
    CHECK(checked(*clocks, "a", key, reading(3, 2, 5000)));
  }
}

TEST_CASE("the clock of a TPM that lost its power may be behind; from there it does not go back") {
  MapRecords records;
  Clocks clocks(records);
  const auto key = SoftKey().area();
  REQUIRE(checked(clocks, "a", key, reading(3, 0, 5000)));
  CHECK(checked(clocks, "a", key, reading(4, 0, 100)).value() == 1);
  CHECK_FALSE(checked(clocks, "a", key, reading(4, 0, 99)));
  CHECK_FALSE(checked(clocks, "a", key, reading(3, 0, 6000)));
}

TEST_CASE("the disk is written for each reset, and for the clock once a minute") {
  MapRecords records;
  Clocks clocks(records);
  const auto key = SoftKey().area();
  for (std::uint64_t i = 0; i < 60; ++i) REQUIRE(checked(clocks, "a", key, reading(1, 0, i * 1000)));
  CHECK(records.writes == 1);
  REQUIRE(checked(clocks, "a", key, reading(1, 0, kMinute)));
  CHECK(records.writes == 2);
  REQUIRE(checked(clocks, "a", key, reading(2, 0, kMinute + 1)));
  CHECK(records.writes == 3);
  records.full = true;
  CHECK(checked(clocks, "a", key, reading(3, 0, kMinute + 2)).error().code == Code::limit_exceeded);
}

TEST_CASE("an operator's new enrolment, or another key, starts anew; a damaged record does not") {
  MapRecords records;
  Clocks clocks(records);
  const auto key = SoftKey().area();
  REQUIRE(checked(clocks, "a", key, reading(3, 2, 5000)));
  SECTION("a new enrolment") {
    REQUIRE(clocks.forget("a"));
    CHECK(checked(clocks, "a", key, reading(1, 0, 1)));
  }
  SECTION("another key") { CHECK(checked(clocks, "a", SoftKey().area(), reading(1, 0, 1))); }
  SECTION("a damaged record") {
    records.values["clock.a"] = "\x0a\xff";
    CHECK_FALSE(checked(Clocks(records), "a", key, reading(4, 0, 6000)));
  }
  SECTION("another host's record") {
    records.values["clock.b"] = records.values["clock.a"];
    CHECK(checked(Clocks(records), "b", key, reading(4, 0, 6000)).error().code == Code::tampered);
  }
}

TEST_CASE("an older state of a host's TPM is refused, and a reboot is not") {
  if (!Swtpm::available()) return;
  Scene scene;
  CHECK(scene.attest().verdict == Verdict::trusted);
  auto& tpm = scene.host->tpm;
  CopiedState copy(tpm, scene);
  const auto reboot = [&] {
    tpm.start();
    tpm.boot(scene.host->event_log);
  };
  reboot();
  const auto rebooted = scene.attest();
  INFO(rebooted.cause);
  CHECK(rebooted.verdict == Verdict::trusted);
  CHECK(rebooted.resets_since == 1);
  CHECK(scene.attest().resets_since == 0);
  tpm.reset();
  tpm.boot(scene.host->event_log);
  CHECK(scene.attest().resets_since == 1);
  // The state of before, put back: its boot is the same, its counter is not.
  copy.put_back();
  reboot();
  scene.must_be_untrusted("the TPM's reset counter went back from ");
  scene.network.restart(*scene.verifier, scene.config);
  scene.must_be_untrusted("an older state of it was restored, or it was cloned");
  // Only an operator may accept it.
  REQUIRE(scene.verifier->attestation().enrol({"host-a"}));
  CHECK(scene.attest().verdict == Verdict::untrusted);
  REQUIRE(scene.verifier->attestation().enrol({"host-a", true}));
  CHECK(scene.attest().verdict == Verdict::trusted);
}

TEST_CASE("a boot that is not trusted counts, too: what was before it cannot be put back") {
  if (!Swtpm::available()) return;
  Scene scene;
  CHECK(scene.attest().verdict == Verdict::trusted);
  auto& tpm = scene.host->tpm;
  CopiedState copy(tpm, scene);
  for (int i = 0; i < 2; ++i) tpm.reset();
  CHECK(scene.attest().verdict == Verdict::untrusted);  // nothing was measured
  copy.put_back();
  tpm.start();
  tpm.boot(scene.host->event_log);
  scene.must_be_untrusted("the TPM's reset counter went back from ");
}

}  // namespace vmsec::boot::test
