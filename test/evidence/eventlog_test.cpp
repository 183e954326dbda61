#include "evidence/eventlog.hpp"

#include <catch2/catch.hpp>
#include <sstream>

#include "event_logs.hpp"
#include "evidence/replay.hpp"
#include "paths.hpp"

namespace vmsec::boot::test {
namespace {

struct BadLog {
  std::string name;
  std::string log;
  std::string cause;
};

std::vector<BadLog> bad_logs() {
  const std::string good = header() + sha256_event(0, 8, 1);
  const std::string two_banks = header({{0x0004, 20}, {0x000b, 32}});
  const std::string locality("StartupLocality\0", 16);
  const auto with_locality = [&](const std::string& data) { return sha256_event(0, kNoAction, 0, data); };
  const auto with_spec = [](const std::string& data) { return sha1_event(0, kNoAction, std::string(20, '\0'), data); };
  return {
      {"empty", "", "the log is empty"},
      {"only fill", std::string(64, '\xff'), "the log holds no event"},
      {"beyond the limit", std::string(kMaxLogBytes + 1, '\0'), "more than 1048576"},
      {"cut in the first PCR", std::string(3, '\0'), "an event's PCR and type needs 4 bytes, 3 are left"},
      {"cut in the first digest", std::string(20, '\0'), "a sha1 digest needs 20 bytes, 12 are left"},
      {"cut in the header's data", header().substr(0, 50), "the event's data needs"},
      {"cut in a digest", good.substr(0, header().size() + 20), "a sha256 digest needs 32 bytes"},
      {"cut in an algorithm", good.substr(0, header().size() + 13), "a digest's algorithm needs 2 bytes"},
      {"cut in a count", good.substr(0, header().size() + 10), "the number of digests needs 4 bytes"},
      {"cut in a size", good.substr(0, good.size() - 3), "an event's size needs 4 bytes"},
      {"cut in the data", good.substr(0, good.size() - 1), "the event's data needs 1 bytes, 0 are left"},
      {"absurd data size", header() + event(0, 8, {{0x000b, std::string(32, 1)}}).substr(0, 46) + "\xff\xff\xff\x7f",
       "the event's data needs 2147483647 bytes"},
      {"absurd digest count", header() + little(0U) + little(8U) + little(0xffffffffU), "4294967295 digests"},
      {"no digests", header() + event(0, 8, {}), "it has no sha256 digest"},
      {"a digest missing", two_banks + sha256_event(0, 8, 1), "it has no sha1 digest"},
      {"a digest twice", two_banks + event(0, 8, {{0x000b, std::string(32, 1)}, {0x000b, std::string(32, 1)}}),
       "two sha256 digests"},
      {"an unlisted algorithm", header() + event(0, 8, {{0x000c, std::string(48, 1)}}),
       "a digest by sha384, which the header does not list"},
      {"an unknown algorithm", header() + event(0, 8, {{0x7777, std::string(32, 1)}}), "algorithm 0x7777"},
      {"PCR 24", header() + sha256_event(24, 8, 1), "PCR 24, where a TPM has 0 to 23"},
      {"PCR 0xffffffff", header() + sha256_event(0xffffffff, 8, 1), "PCR 4294967295"},
      {"header of another PCR", sha1_event(1, kNoAction, std::string(20, '\0'), spec_id({{0x000b, 32}})),
       "the Spec ID header is of PCR 1, not 0"},
      {"no algorithms", header({}), "lists 0 algorithms"},
      {"too many algorithms", header(Algorithms(17, {0x000b, 32})), "lists 17 algorithms"},
      {"an algorithm twice", header({{0x000b, 32}, {0x000b, 32}}), "lists sha256 twice"},
      {"a wrong digest size", header({{0x000b, 20}}), "gives sha256 digests of 20 bytes"},
      {"a digest of no bytes", header({{0x7777, 0}}), "digests of 0 bytes"},
      {"a digest of 65 bytes", header({{0x7777, 65}}), "digests of 65 bytes"},
      {"a header without a count", with_spec(spec_id({}).substr(0, 26)), "ends before its number of algorithms"},
      {"a header cut in its algorithms", with_spec(spec_id({{0x000b, 32}}).substr(0, 30)),
       "ends within its algorithms"},
      {"vendor data too long", with_spec(spec_id({{0x000b, 32}}) + "more"), "vendor information"},
      {"vendor data too short", with_spec(spec_id({{0x000b, 32}}, "vendor").substr(0, 35)), "vendor information"},
      {"no vendor size", with_spec(spec_id({{0x000b, 32}}).substr(0, 32)), "vendor information"},
      {"locality 2", header() + with_locality(locality + '\2'), "StartupLocality 2, want 0, 3 or 4"},
      {"locality of a wrong size", header() + with_locality(locality), "StartupLocality of a wrong size"},
      {"locality too late", good + with_locality(locality + '\3'), "StartupLocality after PCR 0 was extended"},
      {"two localities", header() + with_locality(locality + '\3') + with_locality(locality + '\3'),
       "a second StartupLocality"},
      {"fill with a byte in it", good + std::string(40, '\xff') + "a", "4294967295 digests"},
  };
}

}  // namespace

TEST_CASE("the log of a real boot leads to the PCRs that its TPM had") {
  const auto sha1 = replay(ovmf_log(), Hash::sha1);
  const auto sha256 = replay(ovmf_log());
  REQUIRE(sha1);
  REQUIRE(sha256);
  CHECK(sha256->events == 25);
  CHECK(sha256->measurements.size() == 24);
  std::istringstream lines(read_whole(VMSEC_SOURCE_DIR "/test/data/eventlogs/ovmf-q35.pcrs"));
  std::string bank;
  std::string value;
  std::uint32_t pcr = 0;
  std::size_t compared = 0;
  while (lines >> bank >> pcr >> value) {
    if (pcr == 10) continue;  // the kernel's IMA extends it behind the firmware's log
    CHECK(to_hex((bank == "sha1" ? sha1 : sha256)->values[pcr]) == value);
    ++compared;
  }
  CHECK(compared == 46);
}

TEST_CASE("a bad event log is an error that names byte, event and cause") {
  const auto logs = bad_logs();
  CHECK(logs.size() >= 35);
  for (const auto& bad : logs) {
    INFO(bad.name);
    const auto replayed = replay(bad.log);
    REQUIRE_FALSE(replayed);
    INFO(replayed.error().message);
    CHECK(replayed.error().code == Code::invalid_argument);
    CHECK(replayed.error().message.starts_with("event log, byte "));
    CHECK(replayed.error().message.find(", event ") != std::string::npos);
    CHECK(replayed.error().message.find(bad.cause) != std::string::npos);
  }
}

TEST_CASE("a log that ends within any event is refused, at every length") {
  const std::string log = ovmf_log();
  std::size_t whole = 0;
  for (std::size_t size = 0; size < log.size(); ++size) whole += replay(std::string_view(log).substr(0, size)) ? 1 : 0;
  CHECK(whole == 24);  // the cuts between two of its 25 events
}

TEST_CASE("an event that is only information extends nothing") {
  const auto silent = replay(header() + sha256_event(5, kNoAction, 7) + sha256_event(0xffffffff, kNoAction, 7, ""));
  REQUIRE(silent);
  CHECK(silent->events == 3);
  CHECK(silent->measurements.empty());
  for (std::uint32_t pcr = 0; pcr < 16; ++pcr) CHECK(silent->values[pcr] == std::string(32, '\0'));
}

TEST_CASE("the startup locality is where PCR 0 begins") {
  const auto begin = [](char locality) {
    const std::string data = std::string("StartupLocality\0", 16) + locality;
    return replay(header() + sha256_event(0, kNoAction, 0, data))->values[0];
  };
  CHECK(begin(0) == std::string(32, '\0'));
  CHECK(begin(3) == std::string(31, '\0') + '\3');
  CHECK(begin(4) == std::string(31, '\0') + '\4');
}

TEST_CASE("every algorithm of the header is replayed, those that are unknown can be none of a replay") {
  const std::string log = header({{0x0004, 20}, {0x000b, 32}, {0x000c, 48}, {0x000d, 64}, {0x7777, 24}}) +
                          event(3, 8,
                                {{0x7777, std::string(24, 1)},
                                 {0x000d, std::string(64, 1)},
                                 {0x000b, std::string(32, 1)},
                                 {0x0004, std::string(20, 1)},
                                 {0x000c, std::string(48, 1)}});
  for (const auto bank : {Hash::sha1, Hash::sha256, Hash::sha384, Hash::sha512}) {
    const auto replayed = replay(log, bank);
    REQUIRE(replayed);
    const auto size = digest_size(bank).value();
    CHECK(replayed->values[3] == digest(bank, {std::string(size, '\0'), std::string(size, 1)}).value());
  }
  CHECK_FALSE(replay(log, Hash{0x7777}));
}

TEST_CASE("the old form of the log has a sha1 bank only") {
  const auto log = sha1_event(4, 0xd, std::string(20, 5), "boot") + sha1_event(4, 4, std::string(20, 6), "");
  const auto replayed = replay(log, Hash::sha1);
  REQUIRE(replayed);
  CHECK(replay(log).error().message == "the event log has no sha256 digests");
  const auto once = digest(Hash::sha1, {std::string(20, '\0'), std::string(20, 5)}).value();
  CHECK(replayed->values[4] == digest(Hash::sha1, {once, std::string(20, 6)}).value());
}

TEST_CASE("the unused rest of the firmware's buffer is no event") {
  const std::string log = header() + sha256_event(0, 8, 1);
  CHECK(replay(log + std::string(100, '\xff')).value().events == 2);
}

TEST_CASE("a log of too many events is refused") {
  std::string log = header();
  for (std::uint32_t i = 0; i < kMaxEvents; ++i) log += event(0, kNoAction, {}, "");
  const auto replayed = replay(log);
  REQUIRE_FALSE(replayed);
  CHECK(replayed.error().message.find("more than 16384 events") != std::string::npos);
}

TEST_CASE("PCRs of a late launch start as all ones until it measures") {
  const auto replayed = replay(header() + sha256_event(17, 8, 1));
  REQUIRE(replayed);
  const auto& values = replayed->values;
  CHECK(values[17] == sha256({std::string(32, '\0'), std::string(32, 1)}).value());
  CHECK(values[18] == std::string(32, '\xff'));
  CHECK(values[23] == std::string(32, '\0'));
}

}  // namespace vmsec::boot::test
