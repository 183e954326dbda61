#include "enrolments.hpp"

#include <catch2/catch.hpp>
#include <map>

#include "evidence/bytes.hpp"
#include "evidence/soft_key.hpp"
#include "map_records.hpp"

namespace vmsec::boot::test {
namespace {

class SilentJournal final : public Journal {
 public:
  Result<Empty> audit(const AuditEntry&) override { return Empty{}; }
  Result<Empty> log(const LogLine&) override { return Empty{}; }
};

// As many as are asked for, each made once.
class Keys {
 public:
  KeyPair operator()(std::uint32_t number) const { return {key(2 * number), key(2 * number + 1)}; }

 private:
  [[nodiscard]] TpmPublic key(std::uint32_t number) const {
    const auto found = made_.find(number);
    return found != made_.end() ? found->second : made_.emplace(number, SoftKey().area()).first->second;
  }
  mutable std::map<std::uint32_t, TpmPublic> made_;
};

std::string host(std::uint32_t number) { return "host-" + std::to_string(number); }

}  // namespace

TEST_CASE("of thousands of hosts each is found, and their records are read once") {
  MapRecords records;
  SilentJournal journal;
  const Keys keys;
  constexpr std::uint32_t kHosts = 3000;
  Enrolments enrolments(records, journal);
  for (std::uint32_t i = 0; i < kHosts; ++i) REQUIRE(enrolments.add(host(i), keys(i), Replace::no));
  CHECK(records.lists == 1);
  CHECK(records.writes == kHosts);
  const int reads = records.reads;
  for (std::uint32_t i = 0; i < kHosts; ++i)
    REQUIRE(enrolments.find(host(i)).value().attestation.name_digest == keys(i).attestation.name_digest);
  CHECK(records.reads == reads);

  SECTION("also by a verifier that was restarted") {
    Enrolments again(records, journal);
    const auto refused = again.add("new", {keys(kHosts).endorsement, keys(7).attestation}, Replace::yes);
    CHECK(refused.error().message == "enrol host new: its attestation key is enrolled for host host-7");
    CHECK(records.lists == 2);
    CHECK(again.find(host(9)).value().endorsement.bytes == keys(9).endorsement.bytes);
    CHECK(records.reads == reads);
  }
}

TEST_CASE("a key in another public area is the same key") {
  MapRecords records;
  SilentJournal journal;
  Enrolments enrolments(records, journal);
  const Keys keys;
  REQUIRE(enrolments.add("a", keys(1), Replace::no));
  std::string bytes = keys(1).endorsement.bytes;
  bytes.replace(8, 2, sized("policy"));  // behind type, name algorithm and attributes
  const auto dressed = parse_public(bytes, "test key");
  REQUIRE(dressed);
  CHECK(dressed->name_digest != keys(1).endorsement.name_digest);
  for (const auto replace : {Replace::no, Replace::yes})
    CHECK(enrolments.add("b", {*dressed, keys(2).attestation}, replace).error().code == Code::denied);
}

TEST_CASE("a key that was replaced is free, and the one in its place is not") {
  MapRecords records;
  SilentJournal journal;
  const Keys keys;
  Enrolments enrolments(records, journal);
  REQUIRE(enrolments.add("a", keys(1), Replace::no));
  CHECK(enrolments.add("b", keys(1), Replace::yes).error().code == Code::denied);
  CHECK(enrolments.add("a", keys(2), Replace::no).error().code == Code::already_exists);
  REQUIRE(enrolments.add("a", keys(2), Replace::yes));
  CHECK(enrolments.find("a").value().attestation.name_digest == keys(2).attestation.name_digest);
  CHECK(enrolments.add("b", {keys(2).endorsement, keys(3).attestation}, Replace::yes).error().message ==
        "enrol host b: its endorsement key (its TPM) is enrolled for host a");
  CHECK(enrolments.add("b", keys(1), Replace::no));
}

TEST_CASE("an enrolment that could not be kept is none, in memory neither") {
  MapRecords records;
  SilentJournal journal;
  const Keys keys;
  Enrolments enrolments(records, journal);
  records.full = true;
  CHECK(enrolments.add("a", keys(1), Replace::no).error().code == Code::limit_exceeded);
  CHECK(enrolments.find("a").error().code == Code::not_found);
  records.full = false;
  CHECK(enrolments.add("b", keys(1), Replace::no));
}

}  // namespace vmsec::boot::test
