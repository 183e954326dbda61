// References from logs, explained and compared.
#include "evidence/learn.hpp"

#include <catch2/catch.hpp>

#include "evidence/align.hpp"
#include "evidence/diff.hpp"
#include "evidence/explain.hpp"
#include "evidence/module_log.hpp"
#include "ima_lists.hpp"
#include "shown.hpp"

namespace vmsec::boot::test {
namespace {

std::string boot_log(const std::string& fills) {
  std::string log = header();
  for (const char fill : fills) log += sha256_event(9, 0xd, fill);
  return log;
}

std::string sample(const std::string& ending) {
  return read_whole(VMSEC_SOURCE_DIR "/test/data/eventlogs/ovmf-q35-ima." + ending);
}

Reference learned(const std::vector<NamedBoot>& logs, const Reference* base = nullptr) {
  const auto text = learn_boots(logs, base, Hash::sha256);
  INFO((text ? text->toml : text.error().message));
  REQUIRE(text);
  const auto reference = parse_reference(text->toml, "learned");
  INFO((reference ? "" : reference.error().message));
  REQUIRE(reference);
  return *reference;
}

bool accepts(const Reference& reference, const std::string& log) {
  return compare(reference, replay(log, reference.bank).value()).cause.empty();
}

}  // namespace

TEST_CASE("what was learned from one log accepts that boot and no other") {
  const auto log = ovmf_log();
  const auto reference = learned({{"a.bin", log}});
  CHECK(reference.serial == 1);
  CHECK(reference.mask() == kUsualPcrs);
  CHECK(accepts(reference, log));
  auto bad = log;
  bad[log.size() - 33] ^= 1;  // the last event's digest, or near it
  if (const auto replayed = replay(bad); replayed && replayed->values != replay(log)->values)
    CHECK_FALSE(compare(reference, *replayed).cause.empty());
}

TEST_CASE("what differs among the logs may be what it was in any of them") {
  const auto first = boot_log("\1\2\3");
  const auto second = boot_log("\1\4\3");
  const auto reference = learned({{"a.bin", first}, {"b.bin", second}});
  CHECK(reference.pcrs.at(9).sequence.size() == 3);
  CHECK(reference.pcrs.at(9).values.empty());
  CHECK(reference.pcrs.at(0).sequence.empty());
  CHECK(accepts(reference, first));
  CHECK(accepts(reference, second));
  CHECK_FALSE(accepts(reference, boot_log("\1\5\3")));
  CHECK_FALSE(accepts(reference, boot_log("\1\3")));
  CHECK_FALSE(accepts(reference, boot_log("\2\1\3")));
}

TEST_CASE("what only some of the logs have may be left out") {
  const auto reference = learned({{"a.bin", boot_log("\1\3")}, {"b.bin", boot_log("\1\2\3")}});
  for (const std::string fills : {"\1\3", "\1\2\3"}) CHECK(accepts(reference, boot_log(fills)));
  CHECK_FALSE(accepts(reference, boot_log("\1\2")));
  CHECK_FALSE(accepts(reference, boot_log("\1\2\2\3")));
}

TEST_CASE("a base's rules stay, the new boot is added, and the serial grows") {
  const auto base = learned({{"a.bin", boot_log("\1\2\3")}, {"b.bin", boot_log("\1\4\3")}});
  const auto next = learned({{"c.bin", boot_log("\1\5\3")}}, &base);
  CHECK(next.serial == 2);
  for (const std::string fills : {"\1\2\3", "\1\4\3", "\1\5\3"}) CHECK(accepts(next, boot_log(fills)));
  CHECK_FALSE(accepts(next, boot_log("\1\6\3")));
  const auto ovmf = learned({{"a.bin", ovmf_log()}});
  auto changed = ovmf_log();
  changed[changed.find(replay(changed)->measurements.back().digest)] ^= 1;
  const auto both = learned({{"b.bin", changed}}, &ovmf);
  CHECK(accepts(both, ovmf_log()));
  CHECK(accepts(both, changed));
}

TEST_CASE("a base that demands Secure Boot learns from no boot without it") {
  const auto base =
      parse_reference("secure_boot = true\npcrs = [9]\n[pcr.9]\nvalues = [\"" + std::string(64, 'a') + "\"]\n", "b");
  const auto text = learn_boots({{"a.bin", ovmf_log()}}, &*base, Hash::sha256);
  REQUIRE_FALSE(text);
  CHECK(text.error().message == "a.bin: Secure Boot is not on, and the base demands it");
  CHECK_FALSE(learn_boots({}, nullptr, Hash::sha256));
  CHECK_FALSE(learn_boots({{"a.bin", "x"}}, nullptr, Hash::sha256));
  CHECK_FALSE(learn_boots({{"a.bin", ovmf_log()}}, nullptr, Hash::sha384));
}

TEST_CASE("an explanation names the line that decides each event") {
  const std::string one = to_hex(std::string(32, 1));
  const std::string two = to_hex(std::string(32, 2));
  const auto reference =
      parse_reference("pcrs = [9]\n[pcr.9]\nsequence = [\"kernel\", \"initrd\"]\n[part.kernel]\ndigests = [\n\"" + one +
                          "\"]\n[part.initrd]\ndigests = [\"" + two + "\"]\n",
                      "ref");
  REQUIRE(reference);
  const auto good = explain_boot(*reference, {boot_log("\1\2") + sha256_event(4, 4, 7)});
  REQUIRE(good);
  CHECK(good->cause.empty());
  REQUIRE(good->events.size() == 4);
  CHECK(good->events[1].rule == "part.kernel");
  CHECK(good->events[1].line == 6);
  CHECK(good->events[2].line == 8);
  CHECK(good->events[3].answer == Answer::not_covered);
  REQUIRE(good->pcrs.size() == 2);
  CHECK(good->pcrs[0].answer == Answer::not_covered);
  CHECK(good->pcrs[1].rules == std::vector<std::string>{"sequence"});
  const auto bad = explain_boot(*reference, {boot_log("\1\5")});
  CHECK(bad->cause.find("PCR 9 event 2: initrd is ") == 0);
  CHECK(bad->events[1].answer == Answer::allowed);
  CHECK(bad->events[2].answer == Answer::refused);
}

TEST_CASE("a difference is an event that is added, removed or changed") {
  CHECK(diff_boots({ovmf_log()}, {ovmf_log()}, Hash::sha256)->empty());
  const auto changed = diff_boots({boot_log("\1\2\3")}, {boot_log("\1\4\3")}, Hash::sha256);
  REQUIRE(changed);
  REQUIRE(changed->size() == 1);
  CHECK(changed->front().change == Change::changed);
  CHECK(changed->front().event == 2U);
  CHECK(changed->front().after == to_hex(std::string(32, 4)));
  const auto more = diff_boots({boot_log("\1\3")}, {boot_log("\1\2\3")}, Hash::sha256);
  REQUIRE(more->size() == 1);
  CHECK(more->front().change == Change::added);
  CHECK(diff_boots({boot_log("\1\2\3")}, {boot_log("\1\3")}, Hash::sha256)->front().change == Change::removed);
}

TEST_CASE("a boot differs from a reference by what that does not allow") {
  const auto reference = learned({{"a.bin", boot_log("\1\2\3")}, {"b.bin", boot_log("\1\4\3")}});
  CHECK(diff_reference(reference, {boot_log("\1\4\3")})->empty());
  const auto changed = diff_reference(reference, {boot_log("\1\5\3")});
  REQUIRE(changed->size() == 1);
  CHECK(changed->front().pcr == 9);
  CHECK(changed->front().event == 2U);
  const auto values = learned({{"a.bin", boot_log("\1\2\3")}});
  CHECK(diff_reference(values, {boot_log("\1\2\3")})->empty());
  CHECK(diff_reference(values, {boot_log("\1\2\3\4")})->front().change == Change::added);
  CHECK(diff_reference(values, {boot_log("\1\3\2")})->front().part == "value");
}

TEST_CASE("boots that are too long to compare are an error") {
  const std::vector<Place> many(5000);
  CHECK(align(many, many).error().code == Code::limit_exceeded);
}

TEST_CASE("what a reference's list has beyond a boot that it allows is no difference") {
  const auto first = boot_log("\1\2\3");
  const auto text = "pcrs = [9]\n[pcr.9]\nvalues = [\"" + to_hex(replay(first)->values[9]) + "\"]\nevents = [\"" +
                    to_hex(std::string(32, 1)) + "\", \"" + to_hex(std::string(32, 2)) + "\", \"" +
                    to_hex(std::string(32, 3)) + "\", \"" + to_hex(std::string(32, 4)) + "\"]\n";
  const auto reference = parse_reference(text, "ref");
  REQUIRE(reference);
  CHECK(diff_reference(*reference, {first})->empty());
  const auto other = diff_reference(*reference, {boot_log("\1\2\5")});
  REQUIRE(other->size() == 3);
  CHECK(other->front().change == Change::added);
  CHECK(other->back().change == Change::removed);
}

TEST_CASE("modules and measured files are learned, explained and compared with the boot that they are of") {
  const LoadedObject throttle{"module", "throttle", std::string(64, 'a')};
  const LoadedObject spy{"module", "spy", std::string(64, 'b')};
  const std::vector<Bank> banks{{Hash::sha256, 32}};
  const auto modules =
      begin_module_log(banks, {1, 11, std::string(32, '\0')}) + module_event(11, banks, throttle).value();
  BootLogs boot{sample("bin"), modules, sample("list")};
  const auto learned = learn_boots({{"a", boot}}, nullptr, Hash::sha256);
  REQUIRE(learned);
  CHECK(std::ranges::any_of(learned->notes, [](const auto& note) {
    return note == "a IMA entry 5 (/tmp/open): a violation, refused unless [ima] violations = true";
  }));
  const auto reference = parse_reference(learned->toml + "violations = true\n", "ref");
  INFO((reference ? learned->toml : reference.error().message));
  REQUIRE(reference);
  CHECK(reference->mask().bits == (0x3ffU | 1U << 10 | 1U << 11));
  CHECK(reference->ima->digests.size() == 6);

  const auto explained = explain_boot(*reference, boot);
  REQUIRE(explained);
  CHECK(explained->cause.empty());
  CHECK(explained->not_judged.empty());
  CHECK(explained->events.back().event.description.text == "module throttle " + throttle.digest);
  CHECK(explained->events.back().answer == Answer::allowed);
  CHECK(diff_reference(*reference, boot)->empty());

  SECTION("a module that the reference does not know") {
    boot.module_log += module_event(11, banks, spy).value();
    CHECK(explain_boot(*reference, boot)->cause.starts_with("PCR 11"));
    const auto changed = diff_reference(*reference, boot);
    REQUIRE(changed->size() == 1);
    CHECK(changed->front().text == "module spy " + spy.digest);
    const auto more = learn_boots({{"b", boot}}, &*reference, Hash::sha256);
    REQUIRE(more);
    const auto grown = parse_reference(more->toml, "grown");
    REQUIRE(grown);
    CHECK(explain_boot(*grown, boot)->cause.empty());
  }
  SECTION("a file that it does not know") {
    auto fewer = *reference;
    fewer.ima->digests.erase(std::string(read_ima(boot.ima_list)->entries[7].digest));
    CHECK(explain_boot(fewer, boot)->cause.find("IMA entry 7 (/bin/tool)") == 0);
    const auto changed = diff_reference(fewer, boot);
    REQUIRE(changed->size() == 1);
    CHECK(changed->front().part == "file");
    CHECK(changed->front().text == "/bin/tool");
  }
  SECTION("without IMA's list it is not judged") {
    boot.ima_list.clear();
    CHECK(explain_boot(*reference, boot)->not_judged == std::vector<std::uint32_t>{10});
  }
  SECTION("modules in another order are the same modules") {
    const std::vector<LoadedObject> order{spy, throttle};
    std::string log = begin_module_log(banks, {1, 11, std::string(32, '\0')});
    for (const auto& each : order) log += module_event(11, banks, each).value();
    const auto other = learn_boots({{"a", boot}, {"b", {boot.event_log, log, {}}}}, nullptr, Hash::sha256);
    REQUIRE(other);
    const auto both = parse_reference(other->toml, "both");
    REQUIRE(both);
    CHECK(both->pcrs.at(11).values.empty());
    CHECK(both->pcrs.at(11).events.size() == 2);
  }
  SECTION("what is refused by more than a file is a difference, too") {
    auto strict = *reference;
    strict.ima->violations = false;
    const auto changed = diff_reference(strict, boot);
    REQUIRE(changed->size() == 1);
    CHECK(changed->front().part == "violation");
    auto other = boot;
    other.event_log = ovmf_log();
    const auto aggregate = diff_reference(*reference, other);
    CHECK(std::ranges::any_of(*aggregate, [](const auto& each) {
      return each.part == "ima" && each.text.starts_with("IMA entry 0 (boot_aggregate): it is ");
    }));
    const auto odd = learn_boots({{"a", other}}, nullptr, Hash::sha256);
    CHECK(std::ranges::any_of(odd->notes, [](const auto& note) {
      return note.starts_with("a: it will be refused: IMA entry 0 (boot_aggregate)");
    }));
  }
  SECTION("a rule for PCR 10 without [ima] is not met by what IMA has measured") {
    const std::string digest(32, 'd');
    const auto rules = parse_reference("pcrs = [10]\n[pcr.10]\nevents = [\"" + to_hex(digest) + "\"]\n", "r");
    REQUIRE(rules);
    boot.event_log += event(10, 0xd, {{0x0004, std::string(20, 'd')}, {0x000b, digest}});
    CHECK(explain_boot(*rules, boot)->cause == "PCR 10 was extended by IMA, of which the reference says nothing");
    auto without = boot;
    without.ima_list.clear();
    CHECK(explain_boot(*rules, without)->cause.empty());
    CHECK_FALSE(learn_boots({{"a", boot}}, &*rules, Hash::sha256));
  }
  SECTION("a list or log that cannot be read is named") {
    CHECK(explain_boot(*reference, {boot.event_log, "x", {}}).error().message.starts_with("module log"));
    CHECK(explain_boot(*reference, {boot.event_log, {}, "x"}).error().message.starts_with("IMA list"));
  }
}

TEST_CASE("a reference that could not be read is not written") {
  std::string list = sample("list");
  for (int i = 0; i < 4100; ++i)
    list += ima_entry("ima-ng",
                      field(std::string("sha256:\0", 8) + sha256({std::to_string(i)}).value()) + path_field("/f"));
  const auto learned = learn_boots({{"a", {sample("bin"), {}, list}}}, nullptr, Hash::sha256);
  REQUIRE_FALSE(learned);
  CHECK(learned.error().message.find("sha256sum") != std::string::npos);
}

TEST_CASE("whoever reviews what was learned is told of what is odd about it") {
  const auto learned = learn_boots({{"a", {boot_log("\1\2\3")}}, {"b", {boot_log("\1\3") + sha256_event(12, 0xd, 9)}}},
                                   nullptr, Hash::sha256);
  REQUIRE(learned);
  const auto has = [&](const std::string& text) {
    return std::ranges::any_of(learned->notes, [&](const auto& note) { return note.find(text) != std::string::npos; });
  };
  CHECK(has("PCR 9: boot-loader-setting-2 may be left out, for not every boot has it"));
  CHECK(has("b: PCR 12, which the reference does not cover"));
  CHECK_FALSE(has("a: PCR"));
}

}  // namespace vmsec::boot::test
