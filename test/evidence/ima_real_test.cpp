// The list of a real kernel that has measured files, beside what its TPM's PCRs were (test/data/eventlogs).
#include <catch2/catch.hpp>
#include <sstream>

#include "evidence/ima_judge.hpp"
#include "shown.hpp"

namespace vmsec::boot::test {
namespace {

constexpr PcrMask kWithIma{0x0007ff};
constexpr std::size_t kViolation = 5;  // the entry that is one

std::string file(const std::string& ending) {
  return read_whole(VMSEC_SOURCE_DIR "/test/data/eventlogs/ovmf-q35-ima." + ending);
}

std::string pcr_of_boot(const std::string& bank, std::uint32_t pcr) {
  std::istringstream lines(file("pcrs"));
  std::string name;
  std::string value;
  std::uint32_t number = 0;
  while (lines >> name >> number >> value)
    if (name == bank && number == pcr) return value;
  return {};
}

Shown shown() {
  Replay was = replay(file("bin")).value();
  was.values[kImaPcr] = from_hex(pcr_of_boot("sha256", kImaPcr)).value();
  Shown host(was, file("bin"), kWithIma);
  host.evidence.ima_list = file("list");
  return host;
}

// All that it has measured but for one.
Reference allowing_all_but(std::string_view path) {
  std::string digests;
  const std::string list = file("list");
  for (const auto& entry : read_ima(list).value().entries)
    if (entry.path != path && !entry.violation) digests += "\"" + to_hex(entry.digest) + "\", ";
  const auto reference = parse_reference("pcrs = [0, 10]\n[pcr.0]\nvalues = [\"" + pcr_of_boot("sha256", 0) +
                                             "\"]\n[ima]\nviolations = true\ndigests = [" + digests + "]\n",
                                         "ref");
  INFO((reference ? "" : reference.error().message));
  REQUIRE(reference);
  return *reference;
}

}  // namespace

TEST_CASE("a real kernel's list leads to the PCR that its TPM had, in each bank") {
  const std::string list = file("list");
  for (const auto bank : {Hash::sha1, Hash::sha256}) {
    const auto read = read_ima(list, bank);
    INFO((read ? "" : read.error().message));
    REQUIRE(read);
    CHECK(to_hex(read->pcr) == pcr_of_boot(to_string(bank), kImaPcr));
    CHECK(read->entries.size() == 8);
    CHECK(read->entries[kViolation].violation);
    CHECK(read->entries[1].path == "/bin/busybox");
  }
}

TEST_CASE("a real boot is trusted by the files that it has measured, and by no fewer") {
  const auto good = shown().judged(allowing_all_but(""));
  CHECK(good.cause.empty());
  CHECK(good.verdict == Verdict::trusted);
  const auto refused = shown().judged(allowing_all_but("/bin/tool"));
  CHECK(refused.verdict == Verdict::untrusted);
  CHECK_THAT(refused.cause, Catch::Contains("IMA entry 7 (/bin/tool): sha256 d1e2402a"));
}

TEST_CASE("one bit changed in a real list, at any place that the TPM vouches for, is not trusted") {
  const auto reference = allowing_all_but("");
  const std::string list = file("list");
  const auto entries = read_ima(list).value().entries;
  std::size_t refused = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    Shown host = shown();
    host.evidence.ima_list[i] ^= 1;
    const bool in_violation = i >= entries[kViolation].offset && i < entries[kViolation + 1].offset;
    const auto report = host.judged(reference);
    if (report.verdict == Verdict::untrusted) ++refused;
    INFO(i);
    if (!in_violation) CHECK(report.verdict == Verdict::untrusted);
    CHECK((report.verdict == Verdict::trusted) == report.cause.empty());
  }
  CHECK(refused > 700);
}

}  // namespace vmsec::boot::test
