// Interchange: a definition becomes a domain and comes back, and nothing of it is lost in silence.
#include <filesystem>
#include <set>
#include <thread>

#include "definitions.hpp"

namespace vmsec::conformance {
namespace {

std::string places_of(const std::vector<Loss>& losses) {
  std::string out;
  for (const auto& loss : losses) out += (out.empty() ? "" : ", ") + loss.place;
  return out.empty() ? "none" : out;
}

// ---- translate --------------------------------------------------------------

Outcome translating_changes_nothing(Fixture& fixture) {
  const auto definition = rich_definition(fixture);
  const auto interchange = fixture.open_a<Interchange>();
  CONFORMANCE_TRY(const auto before, fixture.open_a<DomainControl>()->list({}));
  CONFORMANCE_TRY(const auto first, interchange->translate(definition));
  CONFORMANCE_TRY(const auto second, interchange->translate(definition));
  CONFORMANCE_TRY(const auto after, fixture.open_a<DomainControl>()->list({}));
  CONFORMANCE_EXPECT(!first.text.empty() && !first.format.empty(), "no text or no format");
  CONFORMANCE_EXPECT(wire::encode(first) == wire::encode(second), "the second time it gives something else");
  CONFORMANCE_EXPECT(before.domains.size() == after.domains.size() && !is_there(fixture, definition.domain),
                     "there is another domain now");
  return passed(first.format);
}

Outcome losses_have_reasons(Fixture& fixture) {
  auto definition = rich_definition(fixture);
  definition.boot = {Firmware::uefi, "", "", ""};
  for (const auto& each : {rich_definition(fixture), definition}) {
    CONFORMANCE_TRY(const auto translation, fixture.open_a<Interchange>()->translate(each));
    std::set<std::string> places;
    for (const auto& loss : translation.losses) {
      CONFORMANCE_EXPECT(!loss.place.empty() && !loss.reason.empty(), "a loss without a place or a reason");
      CONFORMANCE_EXPECT(places.insert(loss.place).second, loss.place + " is lost twice");
    }
    CONFORMANCE_EXPECT(!places.empty(), "it can have everything: a virtual TPM for a guest of Xen's own kind, too");
  }
  CONFORMANCE_TRY(const auto translation, fixture.open_a<Interchange>()->translate(definition));
  return passed(places_of(translation.losses));
}

Outcome losses_are_places_of_it(Fixture& fixture) {
  CONFORMANCE_TRY(const auto definition, plain(fixture, rich_definition(fixture)));
  CONFORMANCE_TRY(const auto translation, fixture.open_a<Interchange>()->translate(definition));
  CONFORMANCE_EXPECT(translation.losses.empty(), "without its losses it loses " + places_of(translation.losses));
  return passed();
}

struct Flaw {
  std::string place;
  std::function<void(DomainDefinition&)> make;
};

std::vector<Flaw> flaws() {
  return {{"domain", [](auto& d) { d.domain = {}; }},
          {"name", [](auto& d) { d.name = "-bad"; }},
          {"name", [](auto& d) { d.name = "a b"; }},
          {"guest", [](auto& d) { d.guest = static_cast<GuestKind>(9); }},
          {"vcpus", [](auto& d) { d.vcpus = 0; }},
          {"vcpus_maximum", [](auto& d) { d.vcpus_maximum = 1; }},
          {"vcpus_maximum", [](auto& d) { d.vcpus_maximum = 100'000; }},
          {"memory", [](auto& d) { d.memory.value += 1; }},
          {"memory", [](auto& d) { d.memory = {}; }},
          {"disk.target", [](auto& d) { d.disks[0].target = "sda"; }},
          {"disk.vda", [](auto& d) { d.disks.push_back(d.disks[0]); }},
          {"disk.vda.source", [](auto& d) { d.disks[0].source = "disk.img"; }},
          {"disk.vda.source", [](auto& d) { d.disks[0].source = "/tmp/../etc/shadow"; }},
          {"disk.vda.source", [](auto& d) { d.disks[0].source = "/tmp/a\nb"; }},
          {"disk.vda.format", [](auto& d) { d.disks[0].format = static_cast<DiskFormat>(9); }},
          {"nic.0.mac", [](auto& d) { d.nics[0].mac = "01:54:00:c0:4f:01"; }},
          {"nic.1.mac", [](auto& d) { d.nics.push_back(d.nics[0]); }},
          {"nic.0.bridge", [](auto& d) { d.nics[0].bridge = "br0,script=/tmp/x"; }},
          {"boot.firmware", [](auto& d) { d.boot = {Firmware::uefi, "/boot/vmlinuz", "", ""}; }},
          {"boot.kernel", [](auto& d) { d.boot = {Firmware::none, "vmlinuz", "", ""}; }},
          {"boot.initrd", [](auto& d) { d.boot = {Firmware::none, "", "/boot/initrd", ""}; }},
          {"boot.command_line", [](auto& d) { d.boot = {Firmware::none, "/boot/vmlinuz", "", "a\nb"}; }},
          {"tags", [](auto& d) { d.tags = {"a'/><b"}; }}};
}

Outcome flaws_are_named(Fixture& fixture) {
  const auto interchange = fixture.open_a<Interchange>();
  for (const auto& flaw : flaws()) {
    auto definition = new_definition(fixture);
    flaw.make(definition);
    const auto translated = interchange->translate(definition);
    const auto defined = interchange->define({definition.domain, definition, {}});
    for (const auto* error : {translated ? nullptr : &translated.error(), defined ? nullptr : &defined.error()}) {
      if (auto outcome = expect_code(Code::invalid_argument, error); outcome.verdict != Verdict::passed) {
        outcome.detail = flaw.place + ": " + outcome.detail;
        return outcome;
      }
      CONFORMANCE_EXPECT(error->message.contains(flaw.place + ": "), flaw.place + " is not named: " + error->message);
    }
    CONFORMANCE_EXPECT(!is_there(fixture, new_definition(fixture).domain), flaw.place + ": there is such a domain");
  }
  return passed(std::to_string(flaws().size()) + " flaws");
}

// ---- define -----------------------------------------------------------------

Outcome call_and_definition_agree(Fixture& fixture) {
  const auto definition = new_definition(fixture);
  return expect(Code::invalid_argument, fixture.open_a<Interchange>()->define({stranger(), definition, {}}));
}

std::vector<std::string> all_of(const std::vector<Loss>& losses) {
  std::vector<std::string> out;
  for (const auto& loss : losses) out.push_back(loss.place);
  return out;
}

Outcome losses_refuse(Fixture& fixture) {
  const auto definition = rich_definition(fixture);
  const auto interchange = fixture.open_a<Interchange>();
  CONFORMANCE_TRY(const auto translation, interchange->translate(definition));
  const auto refused = interchange->define({definition.domain, definition, {}});
  CONFORMANCE_EXPECT(!refused && refused.error().code == Code::unsupported, "it is not refused as unsupported");
  for (const auto& loss : translation.losses)
    CONFORMANCE_EXPECT(refused.error().message.contains(loss.place + ": " + loss.reason),
                       loss.place + " is not named: " + refused.error().message);
  for (const auto& loss : translation.losses) {
    auto without = all_of(translation.losses);
    std::erase(without, loss.place);
    const auto one = interchange->define({definition.domain, definition, without});
    CONFORMANCE_EXPECT(!one && one.error().code == Code::unsupported && one.error().message.contains(loss.place),
                       "without all but " + loss.place + " it is not refused for that");
  }
  CONFORMANCE_EXPECT(!is_there(fixture, definition.domain), "there is such a domain");
  return passed(places_of(translation.losses));
}

Outcome without_is_exact(Fixture& fixture) {
  const auto definition = rich_definition(fixture);
  const auto interchange = fixture.open_a<Interchange>();
  CONFORMANCE_TRY(const auto translation, interchange->translate(definition));
  auto without = all_of(translation.losses);
  for (const auto* place : {"vcpus", "disk.vdz", "", "name"}) {
    without.emplace_back(place);
    const auto outcome = expect(Code::invalid_argument, interchange->define({definition.domain, definition, without}));
    if (outcome.verdict != Verdict::passed) return outcome;
    without.pop_back();
  }
  CONFORMANCE_EXPECT(!is_there(fixture, definition.domain), "there is such a domain");
  return passed();
}

Outcome without_lets_through(Fixture& fixture) {
  const auto definition = rich_definition(fixture);
  const auto interchange = fixture.open_a<Interchange>();
  CONFORMANCE_TRY(const auto translation, interchange->translate(definition));
  CONFORMANCE_TRY(const auto wanted, plain(fixture, definition));
  const Defined defined(fixture, definition.domain);
  CONFORMANCE_CHECK(interchange->define({definition.domain, definition, all_of(translation.losses)}));
  CONFORMANCE_TRY(const auto exported, interchange->export_domain({definition.domain}));
  CONFORMANCE_EXPECT(exported.definition == wanted, "what came of it is not the definition without its losses");
  CONFORMANCE_EXPECT(exported.losses.empty(), "exported it loses " + places_of(exported.losses));
  return passed();
}

Outcome defined_is_shown(Fixture& fixture) {
  CONFORMANCE_TRY(const auto definition, new_plain(fixture));
  const Defined defined(fixture, definition.domain);
  CONFORMANCE_TRY(const auto ref, fixture.open_a<Interchange>()->define({definition.domain, definition, {}}));
  CONFORMANCE_EXPECT(ref.domain == definition.domain, "it answers another domain");
  CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({definition.domain}));
  CONFORMANCE_EXPECT(info.state == DomainState::shut_off || info.state == DomainState::paused, "it runs");
  CONFORMANCE_EXPECT(info.cpu_time.value < 1'000'000, "it has run");
  CONFORMANCE_EXPECT(info.name == definition.name && info.vcpus == definition.vcpus, "another name, or other vCPUs");
  CONFORMANCE_EXPECT(info.memory_maximum == definition.memory,
                     "its memory is " + std::to_string(info.memory_maximum.value) + " bytes");
  CONFORMANCE_EXPECT(info.disks.size() == definition.disks.size() && info.nics.size() == definition.nics.size(),
                     "other disks or NICs");
  return passed(info.state == DomainState::paused ? "paused" : "shut off");
}

Outcome taken_is_refused(Fixture& fixture) {
  CONFORMANCE_TRY(const auto definition, new_bare(fixture));
  CONFORMANCE_TRY(const auto main, fixture.domain());
  const auto interchange = fixture.open_a<Interchange>();
  const Defined defined(fixture, definition.domain);
  CONFORMANCE_CHECK(interchange->define({definition.domain, definition, {}}));
  CONFORMANCE_TRY(auto same_name, new_bare(fixture, 2));
  same_name.name = definition.name;
  CONFORMANCE_TRY(auto mains_name, new_bare(fixture, 2));
  mains_name.name = fixture.setup().domain;
  CONFORMANCE_TRY(auto mains_uuid, new_bare(fixture, 2));
  mains_uuid.domain = main;
  CONFORMANCE_TRY(auto same_uuid, new_bare(fixture, 2));
  same_uuid.domain = definition.domain;
  for (const auto& taken : {definition, same_uuid, same_name, mains_name, mains_uuid}) {
    const auto outcome = expect(Code::already_exists, interchange->define({taken.domain, taken, {}}));
    if (outcome.verdict != Verdict::passed) return outcome;
  }
  CONFORMANCE_EXPECT(!is_there(fixture, same_name.domain), "there is a second one");
  CONFORMANCE_TRY(const auto first, interchange->export_domain({definition.domain}));
  CONFORMANCE_EXPECT(first.definition == definition, "the first one changed");
  CONFORMANCE_TRY(const auto main_info, fixture.open_a<DomainControl>()->get({main}));
  CONFORMANCE_EXPECT(main_info.state == DomainState::running && main_info.name == fixture.setup().domain,
                     "the domain that ran was touched");
  return passed();
}

Outcome of_several_one_defines(Fixture& fixture) {
  CONFORMANCE_TRY(const auto definition, new_bare(fixture));
  const Defined defined(fixture, definition.domain);
  std::vector<Result<DomainRef>> answers(4, fail(Code::internal, "not called"));
  {
    std::vector<std::jthread> threads;
    for (auto& answer : answers)
      threads.emplace_back(
          [&] { answer = fixture.open_a<Interchange>()->define({definition.domain, definition, {}}); });
  }
  int made = 0;
  for (const auto& answer : answers) {
    made += answer ? 1 : 0;
    if (!answer && answer.error().code != Code::already_exists) return from_error(answer.error());
  }
  CONFORMANCE_EXPECT(made == 1, std::to_string(made) + " of 4 defined it");
  return passed();
}

Outcome what_is_missing_is_named(Fixture& fixture) {
  CONFORMANCE_TRY(const auto good, new_plain(fixture));
  const auto interchange = fixture.open_a<Interchange>();
  std::vector<std::pair<std::string, DomainDefinition>> bad = {{"disk.vda.source", good}};
  bad.back().second.disks[0].source += ".missing";
  if (!good.boot.kernel.empty()) {
    bad.emplace_back("boot.kernel", good);
    bad.back().second.boot.kernel += ".missing";
  }
  if (!good.nics.empty() && !good.nics[0].bridge.empty()) {
    bad.emplace_back("nic.0.bridge", good);
    bad.back().second.nics[0].bridge = "nobridge77";
  }
  for (const auto& [place, definition] : bad) {
    const auto answer = interchange->define({definition.domain, definition, {}});
    const auto outcome = expect(Code::not_found, answer);
    if (outcome.verdict != Verdict::passed) return outcome;
    CONFORMANCE_EXPECT(answer.error().message.contains(place), place + " is not named: " + answer.error().message);
    CONFORMANCE_EXPECT(!is_there(fixture, definition.domain), "there is such a domain");
  }
  return passed(std::to_string(bad.size()) + " kinds");
}

Outcome a_folder_is_no_disk(Fixture& fixture) {
  CONFORMANCE_TRY(auto definition, new_plain(fixture));
  definition.disks[0].source = "/tmp";
  return expect(Code::invalid_argument, fixture.open_a<Interchange>()->define({definition.domain, definition, {}}));
}

// ---- export -----------------------------------------------------------------

Outcome export_gives_it_back(Fixture& fixture) {
  CONFORMANCE_TRY(const auto definition, new_plain(fixture));
  const auto interchange = fixture.open_a<Interchange>();
  const Defined defined(fixture, definition.domain);
  CONFORMANCE_CHECK(interchange->define({definition.domain, definition, {}}));
  CONFORMANCE_TRY(const auto exported, interchange->export_domain({definition.domain}));
  CONFORMANCE_EXPECT(exported.losses.empty(), "it loses " + places_of(exported.losses));
  CONFORMANCE_EXPECT(exported.definition == definition, "it is another definition");
  CONFORMANCE_TRY(const auto translation, interchange->translate(definition));
  CONFORMANCE_EXPECT(exported.format == translation.format && !exported.text.empty(), "another format, or no text");
  return passed();
}

Outcome export_is_defined_elsewhere(Fixture& fixture) {
  CONFORMANCE_TRY(auto definition, new_plain(fixture));
  definition.disks.clear();
  const auto interchange = fixture.open_a<Interchange>();
  DomainDefinition copy;
  {
    const Defined defined(fixture, definition.domain);
    CONFORMANCE_CHECK(interchange->define({definition.domain, definition, {}}));
    CONFORMANCE_TRY(const auto exported, interchange->export_domain({definition.domain}));
    copy = exported.definition;
  }
  const auto other = new_definition(fixture, 3);
  copy.domain = other.domain;
  copy.name = other.name;
  copy.nics[0].mac = other.nics[0].mac;
  const Defined defined(fixture, copy.domain);
  CONFORMANCE_CHECK(interchange->define({copy.domain, copy, {}}));
  CONFORMANCE_TRY(const auto again, interchange->export_domain({copy.domain}));
  CONFORMANCE_EXPECT(again.definition == copy, "it is another definition");
  return passed();
}

Outcome main_is_exported(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid main, fixture.domain());
  CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({main}));
  CONFORMANCE_TRY(const auto exported, fixture.open_a<Interchange>()->export_domain({main}));
  const auto& definition = exported.definition;
  CONFORMANCE_EXPECT(definition.domain == main && definition.name == info.name, "another UUID or name");
  CONFORMANCE_EXPECT(definition.vcpus == info.vcpus, "other vCPUs");
  CONFORMANCE_EXPECT(definition.memory == info.memory_maximum,
                     std::to_string(definition.memory.value) + " bytes of memory");
  CONFORMANCE_EXPECT(!exported.format.empty() && !exported.text.empty(), "no format or no text");
  const auto flaw = find_flaw(definition);
  CONFORMANCE_EXPECT(!flaw, flaw->place + ": " + flaw->message);
  for (const auto& loss : exported.losses)
    CONFORMANCE_EXPECT(!loss.place.empty() && !loss.reason.empty(), "a loss without a place or a reason");
  for (const auto& disk : info.disks) {
    const bool named = std::ranges::find(definition.disks, disk.source, &DefinedDisk::source) != definition.disks.end();
    const bool lost = std::ranges::any_of(
        exported.losses, [&](const Loss& loss) { return (loss.place + loss.reason).contains(disk.target); });
    CONFORMANCE_EXPECT(named || lost, "disk " + disk.target + " is neither exported nor lost");
  }
  CONFORMANCE_EXPECT(definition.disks.size() <= info.disks.size(), "it has disks that the domain has not");
  return passed("lost: " + places_of(exported.losses));
}

Outcome export_can_be_said_again(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid main, fixture.domain());
  const auto interchange = fixture.open_a<Interchange>();
  CONFORMANCE_TRY(const auto exported, interchange->export_domain({main}));
  CONFORMANCE_TRY(const auto translation, interchange->translate(exported.definition));
  CONFORMANCE_EXPECT(translation.losses.empty(), "this hypervisor's own loses " + places_of(translation.losses));
  return passed();
}

// ---- start, undefine --------------------------------------------------------

Outcome start_runs_it(Fixture& fixture) {
  CONFORMANCE_TRY(const auto definition, new_bare(fixture));
  const auto interchange = fixture.open_a<Interchange>();
  const auto domains = fixture.open_a<DomainControl>();
  const Defined defined(fixture, definition.domain);
  CONFORMANCE_CHECK(interchange->define({definition.domain, definition, {}}));
  CONFORMANCE_CHECK(interchange->start({definition.domain}));
  CONFORMANCE_TRY(const auto running, domains->get({definition.domain}));
  CONFORMANCE_EXPECT(running.state == DomainState::running, "it does not run");
  auto outcome = expect(Code::wrong_state, interchange->start({definition.domain}));
  if (outcome.verdict != Verdict::passed) return outcome;
  outcome = expect(Code::wrong_state, interchange->undefine({definition.domain}));
  if (outcome.verdict != Verdict::passed) return outcome;
  CONFORMANCE_TRY(const auto still, domains->get({definition.domain}));
  CONFORMANCE_EXPECT(still.state == DomainState::running, "it does not run any more");
  CONFORMANCE_TRY(const auto exported, interchange->export_domain({definition.domain}));
  CONFORMANCE_EXPECT(exported.definition == definition, "while it runs, another definition is exported");
  return passed();
}

Outcome paused_after_it_ran(Fixture& fixture) {
  CONFORMANCE_TRY(const auto definition, new_bare(fixture));
  const auto interchange = fixture.open_a<Interchange>();
  const Defined defined(fixture, definition.domain);
  CONFORMANCE_CHECK(interchange->define({definition.domain, definition, {}}));
  CONFORMANCE_CHECK(interchange->start({definition.domain}));
  CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->pause({definition.domain}));
  const auto outcome = expect(Code::wrong_state, interchange->start({definition.domain}));
  if (outcome.verdict != Verdict::passed) return outcome;
  return expect(Code::wrong_state, interchange->undefine({definition.domain}));
}

Outcome undefined_is_gone(Fixture& fixture) {
  CONFORMANCE_TRY(auto definition, new_plain(fixture));
  definition.nics.clear();
  const auto interchange = fixture.open_a<Interchange>();
  std::error_code ignored;
  const auto before = std::filesystem::status(fixture.setup().fresh.disks[0], ignored).type();
  for (int round = 0; round < 2; ++round) {  // the second: what is forgotten can be defined again
    if (round == 1) definition.disks.clear();
    const Defined defined(fixture, definition.domain);
    CONFORMANCE_CHECK(interchange->define({definition.domain, definition, {}}));
    CONFORMANCE_CHECK(interchange->undefine({definition.domain}));
    CONFORMANCE_EXPECT(!is_there(fixture, definition.domain), "it is still there");
    const auto outcome = expect(Code::not_found, interchange->undefine({definition.domain}));
    if (outcome.verdict != Verdict::passed) return outcome;
  }
  CONFORMANCE_EXPECT(std::filesystem::status(fixture.setup().fresh.disks[0], ignored).type() == before,
                     "its disk is gone too");
  return passed();
}

// ---- events -----------------------------------------------------------------

Outcome definitions_are_told(Fixture& fixture) {
  CONFORMANCE_TRY(const auto definition, new_bare(fixture));
  const auto events = fixture.open_a<Events>();
  CONFORMANCE_TRY(const auto before, events->next({0, {}, 1}));
  const auto told = [&](std::initializer_list<EventKind> kinds) -> EventKind {
    EventKind found = EventKind::unknown;
    (void)wait_until([&] {
      const auto list = events->next({before.last, {100'000}, 0});
      for (const auto& event : list ? list->events : std::vector<Event>())
        if (event.domain == definition.domain && std::ranges::find(kinds, event.kind) != kinds.end())
          found = event.kind;
      return found != EventKind::unknown;
    });
    return found;
  };
  {
    const Defined defined(fixture, definition.domain);
    CONFORMANCE_CHECK(fixture.open_a<Interchange>()->define({definition.domain, definition, {}}));
    CONFORMANCE_EXPECT(told({EventKind::domain_defined, EventKind::domain_started}) != EventKind::unknown,
                       "that it was defined is not told");
    CONFORMANCE_CHECK(fixture.open_a<Interchange>()->undefine({definition.domain}));
  }
  CONFORMANCE_EXPECT(told({EventKind::domain_undefined}) != EventKind::unknown, "that it was undefined is not told");
  return passed();
}

template <class Call>
std::function<Outcome(Fixture&)> strange(Call call) {
  return [call](Fixture& fixture) {
    return expect(Code::not_found, call(*fixture.open_a<Interchange>(), DomainRef{stranger()}));
  };
}

}  // namespace

void add_interchange(Checks& checks) {
  const auto add = [&](std::string claim, std::function<Outcome(Fixture&)> run) {
    checks.push_back({"Interchange", std::move(claim), [run](Fixture& fixture) -> Outcome {
                        if (fixture.setup().fresh.disks.size() != 2)
                          return {Verdict::unsupported, "no two disks for new domains were given (--new-disk)"};
                        return run(fixture);
                      }});
  };
  add("translating gives the same text twice, and changes nothing", translating_changes_nothing);
  add("what is lost has a place and a reason, each place once", losses_have_reasons);
  add("without what it loses, a definition loses nothing", losses_are_places_of_it);
  add("a definition with a flaw is refused by its place", flaws_are_named);
  add("a call about one domain with another's definition is refused", call_and_definition_agree);
  add("a definition that loses something is not defined, and each loss is named", losses_refuse);
  add("a loss that there is not cannot be accepted", without_is_exact);
  add("with its losses accepted, just they are lost", without_lets_through);
  add("a defined domain does not run, and is what was defined", defined_is_shown);
  add("a UUID or a name that is taken is already_exists", taken_is_refused);
  add("of several at once one defines it", of_several_one_defines);
  add("a disk, kernel or bridge that is missing is not_found, by its place", what_is_missing_is_named);
  add("a folder is no disk", a_folder_is_no_disk);
  add("what was defined is exported, with no losses", export_gives_it_back);
  add("what was exported can be defined under another name", export_is_defined_elsewhere);
  add("any domain is exported, or what is lost has a place and a reason", main_is_exported);
  add("what was exported loses nothing here", export_can_be_said_again);
  add("start runs it; a domain that runs is neither started nor undefined", start_runs_it);
  add("a domain that ran and is paused is neither started nor undefined", paused_after_it_ran);
  add("undefined it is gone, its disk is not, and it can be defined again", undefined_is_gone);
  add("defining and undefining are told", definitions_are_told);
  add("start of a stranger is not_found", strange([](Interchange& i, const DomainRef& r) { return i.start(r); }));
  add("undefine of a stranger is not_found", strange([](Interchange& i, const DomainRef& r) { return i.undefine(r); }));
  add("export of a stranger is not_found",
      strange([](Interchange& i, const DomainRef& r) { return i.export_domain(r); }));
}

}  // namespace vmsec::conformance
