// Parts, sequences, Secure Boot, banks and serials of a reference: what they accept, and how they name what they
// refuse.
#include "evidence/rules.hpp"

#include <catch2/catch.hpp>

#include "shown.hpp"

namespace vmsec::boot::test {
namespace {

constexpr PcrMask kNine{0x200};
constexpr PcrMask kSeven{0x80};

std::string hex_of(char fill) { return to_hex(std::string(32, fill)); }
std::string part(const std::string& name, const std::vector<char>& fills) {
  std::string text = "[part." + name + "]\ndigests = [";
  for (const char fill : fills) text += "\"" + hex_of(fill) + "\", ";
  return text + "]\n";
}

// Kernel, command line, initrd, separator; the initrd has two that are allowed.
std::string boot_reference() {
  return "version = 1\nserial = 3\npcrs = [9]\n[pcr.9]\n"
         "sequence = [\"kernel\", \"command-line\", \"initrd\", \"microcode?\", \"separator\"]\n" +
         part("kernel", {1}) + part("command-line", {2}) + part("initrd", {3, 4}) + part("microcode", {5}) +
         part("separator", {6});
}

std::string boot_log(const std::string& fills) {
  std::string log = header();
  for (const char fill : fills) log += sha256_event(9, 0xd, fill);
  return log;
}

std::string cause_of(const std::string& reference, const std::string& log) {
  const auto parsed = parse_reference(reference, "ref");
  INFO((parsed ? "" : parsed.error().message));
  REQUIRE(parsed);
  return compare(*parsed, replay(log).value()).cause;
}

std::string variable_event(const std::string& digest) { return event(7, 0x80000001, {{0x000b, digest}}); }
std::string separator_digest() { return sha256({std::string_view("\0\0\0\0", 4)}).value(); }

// SecureBoot, PK, KEK, db, dbx, what stands behind it, a separator, an authority.
std::string secure_log(const std::string& first, const std::string& extra = {}, char db = 'd', char authority = 'a') {
  std::string log = header() + variable_event(first);
  for (const char fill : {'p', 'k', db, 'x'}) log += variable_event(std::string(32, fill));
  for (const char fill : extra) log += variable_event(std::string(32, fill));
  return log + event(7, 4, {{0x000b, separator_digest()}}) + variable_event(std::string(32, authority));
}
std::string secure_on() { return secure_boot_digest(Hash::sha256, true).value(); }
std::string secure_off() { return secure_boot_digest(Hash::sha256, false).value(); }

std::string secure_reference() {
  return "version = 1\npcrs = [7]\n[secure_boot]\npk = [\"" + hex_of('p') + "\"]\nkek = [\"" + hex_of('k') +
         "\"]\ndb = [\"" + hex_of('d') + "\"]\ndbx = [\"" + hex_of('x') + "\", \"" + hex_of('y') +
         "\"]\nauthority = [\"" + hex_of('a') + "\"]\n";
}

struct Bad {
  std::string text;
  std::string where;
  std::string cause;
};

}  // namespace

TEST_CASE("a boot of known parts in their order is as the reference says") {
  const auto reference = parse_reference(boot_reference(), "ref");
  REQUIRE(reference);
  CHECK(reference->serial == 3);
  CHECK(reference->mask() == kNine);
  for (const std::string fills : {"\1\2\3\6", "\1\2\4\6", "\1\2\3\5\6"})
    CHECK(cause_of(boot_reference(), boot_log(fills)).empty());
}

TEST_CASE("a changed part is named, with what it is and what it may be") {
  const auto changed = [](const std::string& fills) { return cause_of(boot_reference(), boot_log(fills)); };
  CHECK(changed("\7\2\3\6") == "PCR 9 event 1: kernel is " + hex_of(7) + ", the reference allows " + hex_of(1));
  CHECK(changed("\1\7\3\6") == "PCR 9 event 2: command-line is " + hex_of(7) + ", the reference allows " + hex_of(2));
  CHECK(changed("\1\2\7\6") ==
        "PCR 9 event 3: initrd is " + hex_of(7) + ", the reference allows " + hex_of(3) + " or 1 more");
}

TEST_CASE("what is missing, additional or in another place is named") {
  const auto changed = [](const std::string& fills) { return cause_of(boot_reference(), boot_log(fills)); };
  CHECK(changed("\1\2\6") == "PCR 9 event 3: initrd is missing before it: by its digest it is separator");
  CHECK(changed("\1\2\3") == "PCR 9: separator was not measured");
  CHECK(changed("") == "PCR 9: kernel was not measured");
  CHECK(changed("\1\7\2\3\6") == "PCR 9 event 2: additional, before command-line: digest " + hex_of(7));
  CHECK(changed("\1\2\3\6\6") ==
        "PCR 9 event 5: additional, behind all that the reference's sequence has: digest " + hex_of(6));
  CHECK(changed("\1\3\2\6") == "PCR 9 event 2: command-line is missing before it: by its digest it is initrd");
  CHECK(changed("\1\2\3\5\5\6").find("event 5: ") != std::string::npos);
}

TEST_CASE("an optional part before the same part again is no trap") {
  const std::string text =
      "pcrs = [9]\n[pcr.9]\nsequence = [\"a?\", \"a\", \"b?\", \"b?\", \"b\"]\n" + part("a", {1}) + part("b", {2});
  for (const std::string fills : {"\1\2", "\1\1\2", "\1\2\2\2"}) CHECK(cause_of(text, boot_log(fills)).empty());
  CHECK_FALSE(cause_of(text, boot_log("\1\1\1\2")).empty());
  CHECK_FALSE(cause_of(text, boot_log("\1\2\2\2\2")).empty());
}

TEST_CASE("values and sequence must both hold") {
  const auto log = boot_log("\1\2\3\6");
  const std::string values = "values = [\"" + to_hex(replay(log)->values[9]) + "\"]\n";
  std::string text = boot_reference();
  text.insert(text.find("sequence"), values);
  CHECK(cause_of(text, log).empty());
  CHECK(cause_of(text, boot_log("\1\2\4\6")).find("PCR 9 is ") == 0);
}

TEST_CASE("Secure Boot must be on, with the keys and authorities that are listed") {
  CHECK(cause_of(secure_reference(), secure_log(secure_on())).empty());
  CHECK(cause_of(secure_reference(), secure_log(secure_off())) == "PCR 7 event 1: Secure Boot is off");
  CHECK(cause_of(secure_reference(), secure_log(std::string(32, 7))).find("event 1: SecureBoot is 0707") !=
        std::string::npos);
  CHECK(cause_of(secure_reference(), secure_log(secure_on(), {}, 'e')) ==
        "PCR 7 event 4: db is " + hex_of('e') + ", the reference allows " + hex_of('d'));
  CHECK(cause_of(secure_reference(), secure_log(secure_on(), {}, 'd', 'b')) ==
        "PCR 7 event 7: authority is " + hex_of('b') + ", the reference allows " + hex_of('a'));
  CHECK(cause_of(secure_reference(), secure_log(secure_on(), "t")) ==
        "PCR 7 event 6: additional, before the separator: digest " + hex_of('t'));
  CHECK(cause_of(secure_reference() + "extra = [\"" + hex_of('t') + "\"]\n", secure_log(secure_on(), "t")).empty());
  CHECK(cause_of(secure_reference(), header()).find("nothing was measured into it") != std::string::npos);
  CHECK(cause_of(secure_reference(), header() + variable_event(secure_on())) ==
        "PCR 7: the separator behind dbx was not measured");
}

TEST_CASE("secure_boot = true demands no more than that, of PCR 7 whose rest the file covers otherwise") {
  const auto log = secure_log(secure_on());
  const std::string rest = "pcrs = [4]\n[pcr.4]\nvalues = [\"" + to_hex(replay(log)->values[4]) + "\"]\n";
  CHECK(cause_of("secure_boot = true\n" + rest, log).empty());
  CHECK(cause_of("secure_boot = true\n" + rest, secure_log(secure_off())) == "PCR 7 event 1: Secure Boot is off");
  CHECK(parse_reference("secure_boot = true\n" + rest, "ref")->mask() == PcrMask{0x90});
  CHECK(parse_reference("secure_boot = true\n", "ref")
            .error()
            .message.find("nothing is said about PCR 0,1,2,3,4,5,6,7") != std::string::npos);
}

TEST_CASE("the real boot of OVMF without Secure Boot is told from one with it") {
  const auto replayed = replay(ovmf_log());
  CHECK(equal(measured_into(*replayed, 7).front()->digest, secure_off()));
}

TEST_CASE("a reference of another bank compares that bank's digests") {
  const std::string digest(48, 'a');
  const std::string log =
      header({{0x000b, 32}, {0x000c, 48}}) + event(4, 4, {{0x000b, std::string(32, 'x')}, {0x000c, digest}});
  const std::string text = "bank = \"sha384\"\npcrs = [4]\n[pcr.4]\nevents = [\"" + to_hex(digest) + "\"]\n";
  const auto reference = parse_reference(text, "ref");
  REQUIRE(reference);
  CHECK(reference->bank == Hash::sha384);
  CHECK(compare(*reference, replay(log, Hash::sha384).value()).cause.empty());
  const Shown shown(log, PcrMask{0x10});
  CHECK(shown.judged(*reference).cause == "the reference is of bank sha384, quoted was sha256");
}

TEST_CASE("a rule that is given and would not be enforced is an error with its place") {
  const std::string nine = "pcrs = [9]\n[pcr.9]\nsequence = [\"kernel\"]\n";
  const std::string four = "pcrs = [4]\n[pcr.4]\nevents = [\"" + hex_of(1) + "\"]\n";
  const std::string ima = "[ima]\ndigests = [\"" + hex_of(1) + "\"]\n";
  const std::vector<Bad> all = {
      {nine, "3:13", "the part \"kernel\" has no [part.kernel]"},
      {nine + part("kernel", {1}) + part("initrd", {2}), "6:7", "[part.initrd]: it is in no sequence"},
      {nine + part("kernel", {1}) + "[part.initrd]\n", "6:2", "[part.initrd]: it has no digests"},
      {nine + part("kernel", {1}) + part("kernel", {1}), "6:2", "[part.kernel]: it is there twice"},
      {nine + "[part.Kernel]\n", "4:7", "a part's name \"Kernel\""},
      {nine + "[part.kernel]\nvalues = [\"" + hex_of(1) + "\"]\n", "5:1", "want digests"},
      {"pcrs = [9]\n[pcr.9]\nsequence = [\"?\"]\n", "3:13", "a part's name \"\""},
      {"pcrs = [9]\n[pcr.9]\nsequence = [9]\n", "3:13", "want names of parts"},
      {"pcrs = [9]\n[pcr.9]\nsequence = []\n", "3:12", "the list is empty"},
      {"serial = 0\n", "1:10", "want a number from 1 on"},
      {"serial = \"3\"\n", "1:10", "want a number from 1 on"},
      {"serial = 1\nserial = 2\n", "2:1", "serial: it is set twice"},
      {"bank = \"sha1\"\n", "1:8", "want \"sha256\", \"sha384\" or \"sha512\""},
      {"bank = \"sha384\"\n" + four, "4:11", "a sha384 value of 64 hexadecimal digits, want 96"},
      {"pcr.4.events = [\"" + hex_of(1) + "\"]\nbank = \"sha256\"\n", "2:1", "must stand before the first digest"},
      {"strict = false\n" + four, "1:10", "want true; without it, leave the line out"},
      {"strict = 1\n" + four, "1:10", "want true"},
      {"strict = trueish\n" + four, "1:10", "where an integer"},
      {"secure_boot = false\n" + four, "1:15", "want true"},
      {"secure_boot = true\n" + secure_reference().substr(12), "4:1", "the table says it too"},
      {"pcrs = [7]\n[secure_boot]\n", "2:2", "[secure_boot]: it has no list"},
      {"pcrs = [7]\n[secure_boot]\nmok = [\"" + hex_of(1) + "\"]\n", "3:1",
       "want pk, kek, db, dbx, extra or authority"},
      {four + ima, "1:1", "PCR 10 has a table, and pcrs does not list it"},
      {"pcrs = [10]\n[ima]\n", "2:2", "[ima]: it has neither digests nor file"},
      {"pcrs = [10]\n[ima]\nviolations = true\n", "2:2", "[ima]: it has neither digests nor file"},
      {"pcrs = [10]\n[ima]\nkeys = 1\n", "3:1", "want digests, file, file_sha256 or violations"},
      {"pcrs = [10]\n[ima]\ndigests = [\"" + std::string(40, 'a') + "\"]\n", "3:12", "64, 96 or 128"},
      {"pcrs = [10]\n[ima]\nfile = \"allow.sha256\"\n", "2:2", "file and file_sha256 go together"},
      {"pcrs = [10]\n[ima]\nfile = \"../allow\"\n", "3:8", "the name of a file beside the reference"},
      {"pcrs = [10]\n" + ima + "[pcr.10]\nvalues = [\"" + hex_of(1) + "\"]\n", "2:2", "both would decide PCR 10"},
  };
  for (const auto& bad : all) {
    INFO(bad.text);
    const auto reference = parse_reference(bad.text, "ref.toml");
    REQUIRE_FALSE(reference);
    INFO(reference.error().message);
    CHECK(reference.error().code == Code::invalid_argument);
    CHECK(reference.error().message.starts_with("reference ref.toml:" + bad.where + ": "));
    CHECK(reference.error().message.find(bad.cause) != std::string::npos);
  }
}

TEST_CASE("a reference whose PCRs were not quoted is never satisfied") {
  const auto reference = parse_reference(boot_reference(), "ref");
  const Shown shown(boot_log("\1\2\3\6"), PcrMask{0x10});
  const auto report = shown.judged(*reference);
  CHECK(report.verdict == Verdict::untrusted);
  CHECK(report.cause == "the reference speaks of PCR 9, which was not quoted");
}

// One thing changed in each, by someone who holds the host: named as what it is.
TEST_CASE("tampering is named as what it is") {
  const auto reference = parse_reference(boot_reference(), "ref").value();
  const auto good = boot_log("\1\2\3\6");
  const Shown honest(good, kNine);
  REQUIRE(honest.judged(reference).verdict == Verdict::trusted);
  const auto untrusted = [&](const Shown& shown, const std::string& cause) {
    const auto report = shown.judged(reference);
    INFO(report.cause);
    CHECK(report.verdict == Verdict::untrusted);
    CHECK(report.cause.find(cause) != std::string::npos);
  };
  untrusted(Shown(boot_log("\7\2\3\6"), kNine), "PCR 9 event 1: kernel is ");
  untrusted(Shown(boot_log("\1\7\3\6"), kNine), "PCR 9 event 2: command-line is ");
  untrusted(Shown(boot_log("\1\2\7\6"), kNine), "PCR 9 event 3: initrd is ");
  Shown digest = honest;
  digest.evidence.event_log = boot_log("\1\2\4\6");
  untrusted(digest, "PCR 9 is " + to_hex(replay(good)->values[9]) + " in the TPM, the event log leads to ");
  Shown selection = honest;
  selection.demand.pcrs = PcrMask{0x201};
  untrusted(selection, "over PCRs 9, asked were 0,9");
  Shown nonce = honest;
  nonce.demand.qualifying_data[5] ^= 1;
  untrusted(nonce, "not for this nonce");
}

TEST_CASE("another type or text of an event changes nothing: what decides is its digest") {
  const auto reference = parse_reference(boot_reference(), "ref").value();
  Shown shown(boot_log("\1\2\3\6"), kNine);
  std::string relabelled = header();
  for (const char fill : std::string("\1\2\3\6")) relabelled += sha256_event(9, 0x80000003, fill, "an honest kernel");
  shown.evidence.event_log = relabelled;
  CHECK(shown.judged(reference).verdict == Verdict::trusted);
  shown.evidence.event_log = boot_log("\7\2\3\6");
  CHECK(shown.judged(reference).verdict == Verdict::untrusted);
}

}  // namespace vmsec::boot::test
