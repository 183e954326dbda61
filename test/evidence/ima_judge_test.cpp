// IMA's list against a quote and an allow list; and what a strict reference refuses.
#include "evidence/ima_judge.hpp"

#include <catch2/catch.hpp>

#include "ima_lists.hpp"
#include "shown.hpp"

namespace vmsec::boot::test {
namespace {

constexpr PcrMask kWithIma{0x0007ff};

Reference allowing(const std::string& fills, const std::string& more = {}) {
  std::string list;
  for (const char fill : fills) list += "\"" + to_hex(std::string(32, fill)) + "\", ";
  const auto reference =
      parse_reference("pcrs = [0, 10]\n[pcr.0]\nvalues = [\"" + to_hex(replay(ovmf_log()).value().values[0]) +
                          "\"]\n[ima]\ndigests = [" + list + "]\n" + more,
                      "ref");
  INFO((reference ? "" : reference.error().message));
  REQUIRE(reference);
  return *reference;
}

std::string aggregate_entry(const Replay& was) {
  std::string values;
  for (std::size_t pcr = 0; pcr < 10; ++pcr) values += was.values[pcr];
  const auto aggregate = sha256({values}).value();
  return ima_entry("ima-ng", field(std::string("sha256:\0", 8) + aggregate) + path_field("boot_aggregate"));
}

// A host that booted as OVMF's log says, whose IMA has measured `quoted` when the quote was made, and shows `list`.
Shown shown(const std::string& quoted, const std::string& list, bool padded = false) {
  Replay was = replay(ovmf_log()).value();
  const auto read = read_ima(quoted).value();
  was.values[kImaPcr] = padded ? read.pcr_padded : read.pcr;
  Shown host(was, ovmf_log(), kWithIma);
  host.evidence.ima_list = list;
  return host;
}

std::string file(char fill, const std::string& path) { return ima_entry("ima-ng", ng_data(path, fill)); }

}  // namespace

TEST_CASE("files that are in the allow list are trusted, by either way of extending the PCR") {
  const std::string list = aggregate_entry(replay(ovmf_log()).value()) + file('a', "/init") + file('b', "/bin/sh");
  for (const bool padded : {false, true}) {
    const auto report = shown(list, list, padded).judged(allowing("ab"));
    CHECK(report.cause.empty());
    CHECK(report.verdict == Verdict::trusted);
    CHECK(report.pcrs.back().pcr == kImaPcr);
  }
}

TEST_CASE("what was measured behind the quote is for the next time") {
  const std::string quoted = aggregate_entry(replay(ovmf_log()).value()) + file('a', "/init");
  CHECK(shown(quoted, quoted + file('x', "/evil")).judged(allowing("ab")).verdict == Verdict::trusted);
  CHECK(shown(quoted, quoted + violation("/tmp/open")).judged(allowing("ab")).verdict == Verdict::trusted);
}

TEST_CASE("a file that is not in the allow list is named") {
  const std::string list = aggregate_entry(replay(ovmf_log()).value()) + file('a', "/init") + file('x', "/evil");
  for (const bool padded : {false, true}) {
    const auto report = shown(list, list, padded).judged(allowing("ab"));
    CHECK(report.verdict == Verdict::untrusted);
    CHECK_THAT(report.cause, Catch::Contains("IMA entry 2 (/evil): sha256 " + to_hex(std::string(32, 'x'))));
    CHECK_FALSE(report.pcrs.back().expected);
  }
}

TEST_CASE("a list that was changed does not lead to what was quoted") {
  const std::string first = aggregate_entry(replay(ovmf_log()).value());
  const std::string list = first + file('a', "/init") + file('x', "/evil");
  const auto cause = [&](const std::string& changed) {
    const auto report = shown(list, changed).judged(allowing("ab"));
    CHECK(report.verdict == Verdict::untrusted);
    return report.cause;
  };
  CHECK_THAT(cause(first + file('a', "/init")), Catch::Contains("PCR 10 is"));                       // left out
  CHECK_THAT(cause(first + file('a', "/init") + file('b', "/evil")), Catch::Contains("PCR 10 is"));  // another digest
  CHECK_THAT(cause(first + file('x', "/evil") + file('a', "/init")), Catch::Contains("PCR 10 is"));  // another order
  CHECK_THAT(cause({}), Catch::Contains("PCR 10 is"));
  // An entry's digest changed without its template digest: the list contradicts itself.
  std::string broken = list;
  broken[broken.find("/evil") - 6] = 'b';
  CHECK_THAT(cause(broken), Catch::Contains("its template digest is not that of its data"));
}

TEST_CASE("a host without a list is not trusted by a reference that asks for one") {
  Shown host(replay(ovmf_log()).value(), ovmf_log(), kWithIma);
  CHECK_THAT(host.judged(allowing("ab")).cause, Catch::Contains("shows no IMA list"));
  Shown unquoted(ovmf_log());
  CHECK_THAT(unquoted.judged(allowing("ab")).cause, Catch::Contains("which was not quoted"));
}

TEST_CASE("the boot's aggregate comes first, and is of the PCRs that were quoted") {
  const std::string aggregate = aggregate_entry(replay(ovmf_log()).value());
  const auto cause = [](const std::string& list) {
    const auto report = shown(list, list).judged(allowing("ab"));
    CHECK(report.verdict == Verdict::untrusted);
    return report.cause;
  };
  CHECK_THAT(cause(file('a', "/init") + aggregate), Catch::Contains("the first is not the boot's aggregate"));
  CHECK_THAT(cause(file('a', "boot_aggregate")), Catch::Contains("PCR 0 to 9 lead to"));
  CHECK_THAT(cause(old_entry("boot_aggregate")), Catch::Contains("it is by sha1, and sha256 was quoted"));
  // An entry of another PCR, before the last that counts.
  CHECK_THAT(cause(aggregate + ima_entry("ima-ng", ng_data("/a", 'a'), 11) + file('a', "/init")),
             Catch::Contains("it was measured into PCR 11"));
}

TEST_CASE("what IMA has measured cannot be told in the event log instead") {
  // Root extends PCR 10 by a list of its own making, and tells all that went before in the event log.
  const Replay was = replay(ovmf_log()).value();
  const std::string aggregate = aggregate_entry(was);
  const std::string evil = sha256({ng_data("/evil", 'x')}).value();
  const std::string log = ovmf_log() + event(10, 0xd, {{0x0004, std::string(20, 'e')}, {0x000b, evil}});
  Replay then = replay(log).value();
  const auto aggregate_data = std::string_view(aggregate).substr(4 + 20 + 4 + 6 + 4);
  then.values[kImaPcr] = sha256({then.values[kImaPcr], sha256({aggregate_data}).value()}).value();
  Shown host(then, log, kWithIma);
  host.evidence.ima_list = aggregate;
  const auto report = host.judged(allowing("ab"));
  CHECK(report.verdict == Verdict::untrusted);
  CHECK_THAT(report.cause, Catch::Contains("of the event log is of PCR 10, which is IMA's"));

  const auto reference = parse_reference("pcrs = [10]\n[pcr.10]\nevents = [\"" + to_hex(evil) + "\"]\n", "ref");
  REQUIRE(reference);
  CHECK_THAT(host.judged(*reference).cause, Catch::Contains("of which the reference says nothing"));
}

TEST_CASE("a violation is refused, unless the reference lets it pass") {
  const std::string list = aggregate_entry(replay(ovmf_log()).value()) + violation("/tmp/open") + file('a', "/init");
  const auto refused = shown(list, list).judged(allowing("ab"));
  CHECK_THAT(refused.cause, Catch::Contains("IMA entry 1 (/tmp/open): a violation"));
  CHECK(shown(list, list).judged(allowing("ab", "violations = true\n")).verdict == Verdict::trusted);
  const std::string other = list + file('x', "/evil");
  CHECK(shown(other, other).judged(allowing("ab", "violations = true\n")).verdict == Verdict::untrusted);
}

TEST_CASE("an event that is odd by its own words is refused by a strict reference alone") {
  // The same digests under a type that nobody knows.
  const std::string log = header() + sha256_event(4, 0x7777, 1);
  const std::string text = "pcrs = [4]\n[pcr.4]\nevents = [\"" + to_hex(std::string(32, 1)) + "\"]\n";
  const Shown host(log);
  CHECK(host.judged(parse_reference(text, "ref").value()).verdict == Verdict::trusted);
  const auto refused = host.judged(parse_reference("strict = true\n" + text, "ref").value());
  CHECK(refused.verdict == Verdict::untrusted);
  CHECK_THAT(refused.cause, Catch::Contains("PCR 4 event 1 event type 0x00007777"));
  CHECK_THAT(refused.cause, Catch::Contains("(the reference is strict)"));
}

TEST_CASE("a boot without Secure Boot is untrusted by a reference that says no more of PCR 7") {
  const auto reference = parse_reference(
      "pcrs = [4]\nsecure_boot = true\n[pcr.4]\nvalues = [\"" + to_hex(replay(ovmf_log()).value().values[4]) + "\"]\n",
      "ref");
  REQUIRE(reference);
  const auto report = Shown(ovmf_log()).judged(*reference);
  CHECK(report.verdict == Verdict::untrusted);
  CHECK_THAT(report.cause, Catch::Contains("PCR 7"));
}

TEST_CASE("a strict reference accepts a real boot") {
  const auto text = write_reference(replay(ovmf_log()).value(), kUsualPcrs, "host");
  const auto reference = parse_reference("strict = true\n" + text, "ref");
  REQUIRE(reference);
  const auto report = Shown(ovmf_log()).judged(*reference);
  CHECK(report.cause.empty());
  CHECK(report.verdict == Verdict::trusted);
}

}  // namespace vmsec::boot::test
