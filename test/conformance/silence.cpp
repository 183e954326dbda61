#include "silence.hpp"

#include <algorithm>

namespace vmsec::conformance {
namespace {

// ---- DomainControl ----------------------------------------------------------

Outcome list_shows_it(Fixture& fixture) {
  CONFORMANCE_CHECK(fixture.domain());
  return passed();
}

Outcome get_names_it(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({domain}));
  CONFORMANCE_EXPECT(info.domain == domain && info.name == fixture.setup().domain,
                     "it answers another domain, or none");
  return passed();
}

// What the list says: get() may be the muted one.
Outcome state_is(Fixture& fixture, DomainState wanted) {
  CONFORMANCE_TRY(const auto list, fixture.open_a<DomainControl>()->list({}));
  for (const auto& info : list.domains) {
    if (info.name != fixture.setup().domain) continue;
    CONFORMANCE_EXPECT(info.state == wanted, "the domain's state is not what was asked for");
    return passed();
  }
  return failed("the domain is not listed");
}

Outcome pause_pauses(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto domains = fixture.open_a<DomainControl>();
  CONFORMANCE_CHECK(domains->pause({domain}));
  const Outcome outcome = state_is(fixture, DomainState::paused);
  CONFORMANCE_CHECK(domains->resume({domain}));
  return outcome;
}

Outcome resume_resumes(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto domains = fixture.open_a<DomainControl>();
  CONFORMANCE_CHECK(domains->pause({domain}));
  CONFORMANCE_CHECK(domains->resume({domain}));
  return state_is(fixture, DomainState::running);
}

// ---- ResourceControl --------------------------------------------------------

Outcome host_has_sizes(Fixture& fixture) {
  CONFORMANCE_TRY(const auto host, fixture.open_a<ResourceControl>()->host({}));
  CONFORMANCE_EXPECT(host.cpus > 0 && host.memory.value > 0, "no sizes");
  return passed();
}

Outcome limits_are_told(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto limits, fixture.open_a<ResourceControl>()->get({domain}));
  CONFORMANCE_EXPECT(wire::encode(limits) != wire::encode(ResourceLimits{}), "it tells no limit at all");
  return passed();
}

// One field set to something else than it is: the answer of get() must change, and change back.
Outcome field_is_set(Fixture& fixture, const std::function<void(ResourceLimits& wanted)>& change) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto resources = fixture.open_a<ResourceControl>();
  CONFORMANCE_TRY(const auto before, resources->get({domain}));
  ResourceLimits wanted;
  change(wanted);
  const auto set = resources->set({domain, wanted});
  if (!set) return from_error(set.error());
  CONFORMANCE_TRY(const auto after, resources->get({domain}));
  CONFORMANCE_CHECK(resources->set({domain, before}));
  CONFORMANCE_EXPECT(wire::encode(after) != wire::encode(before), "the limits are what they were");
  return passed();
}

Outcome memory_limit_is_set(Fixture& fixture) {
  CONFORMANCE_TRY(const auto host, fixture.open_a<ResourceControl>()->host({}));
  return field_is_set(fixture, [&](ResourceLimits& wanted) { wanted.memory_limit = Bytes{host.memory.value / 4 * 3}; });
}

// ---- IoControl --------------------------------------------------------------

Outcome disk_is_told(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto limits, fixture.open_a<IoControl>()->get({domain}));
  CONFORMANCE_EXPECT(!limits.disks.empty(), "no disks");
  return passed();
}

template <class Limit, class Set>
Outcome io_changes(Fixture& fixture, const Limit& limit, Set set) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto io = fixture.open_a<IoControl>();
  CONFORMANCE_TRY(const auto before, io->get({domain}));
  CONFORMANCE_CHECK(set(*io, domain, limit));
  CONFORMANCE_TRY(const auto after, io->get({domain}));
  CONFORMANCE_CHECK(set(*io, domain, Limit{limit.target}));
  CONFORMANCE_EXPECT(wire::encode(after) != wire::encode(before), "the limits are what they were");
  return passed();
}

Outcome disk_is_limited(Fixture& fixture) {
  DiskLimit limit{fixture.setup().disk};
  limit.write = {3'000'000};
  return io_changes(fixture, limit,
                    [](IoControl& io, const Uuid& domain, const DiskLimit& it) { return io.set_disk({domain, it}); });
}

Outcome nic_is_limited(Fixture& fixture) {
  if (fixture.setup().nic.empty()) return {Verdict::unsupported, "the domain has no NIC"};
  return io_changes(fixture, NicLimit{fixture.setup().nic, {3'000'000}, {}},
                    [](IoControl& io, const Uuid& domain, const NicLimit& it) { return io.set_nic({domain, it}); });
}

Outcome bytes_are_counted(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto statistics, fixture.open_a<IoControl>()->statistics({domain}));
  const bool counted = std::ranges::any_of(statistics.disks, [](const auto& disk) { return disk.read.value > 0; });
  CONFORMANCE_EXPECT(counted, "no byte was counted");
  return passed();
}

// ---- MemoryAccess, Events, BootEvidence ---------------------------------------

Outcome memory_is_mapped(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto map, fixture.open_a<MemoryAccess>()->map({domain}));
  CONFORMANCE_EXPECT(map.file.valid() && !map.regions.empty(), "no file or no regions");
  return passed();
}

Outcome memory_is_read(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto read, fixture.open_a<MemoryAccess>()->read({domain, 16 << 20, {8192}}));
  CONFORMANCE_EXPECT(read.bytes.size() == 8192, std::to_string(read.bytes.size()) + " bytes of 8192");
  return passed();
}

Outcome events_are_told(Fixture& fixture) {
  CONFORMANCE_TRY(const auto list, fixture.open_a<Events>()->next({0, {}, 1}));
  CONFORMANCE_EXPECT(list.events.size() == 1 && list.last > 0, "no events");
  return passed();
}

Outcome boot_is_told(Fixture& fixture) {
  CONFORMANCE_TRY(const auto evidence, fixture.open_a<BootEvidence>()->host({}));
  CONFORMANCE_EXPECT(!evidence.tcti.empty() && !evidence.event_log.empty(), "no TPM or no event log");
  return passed();
}

// Whatever it is asked, the agent in a guest says something.
Outcome guest_is_asked(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto said, fixture.open_a<BootEvidence>()->guest({domain, "?", 10'000}));
  CONFORMANCE_EXPECT(!said.reply.empty(), "nothing was said");
  return passed();
}

Outcome vcpus_are_set(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({domain}));
  return field_is_set(fixture, [&](ResourceLimits& wanted) { wanted.vcpus = info.vcpus == 1 ? 2 : 1; });
}

Outcome pin_is_set(Fixture& fixture) {
  CONFORMANCE_TRY(const std::uint32_t cpu, fixture.usable_cpu());
  return field_is_set(fixture, [cpu](ResourceLimits& wanted) { wanted.pins = {{0, {cpu}}}; });
}

const std::vector<Proof> kDomainProofs = {
    {"List", list_shows_it}, {"Get", get_names_it}, {"Pause", pause_pauses}, {"Resume", resume_resumes}};
const std::vector<Proof> kResourceProofs = {
    {"Host", host_has_sizes},
    {"Get", limits_are_told},
    {"Set", [](Fixture& f) { return field_is_set(f, [](ResourceLimits& wanted) { wanted.cpu_weight = 333; }); }},
    {"Set", [](Fixture& f) { return field_is_set(f, [](ResourceLimits& wanted) { wanted.cpu_quota_millis = 555; }); }},
    {"Set", vcpus_are_set},
    {"Set", pin_is_set},
    {"Set", memory_limit_is_set}};
const std::vector<Proof> kIoProofs = {
    {"Get", disk_is_told}, {"SetDisk", disk_is_limited}, {"SetNic", nic_is_limited}, {"Statistics", bytes_are_counted}};
const std::vector<Proof> kBootProofs = {{"Host", boot_is_told}, {"Guest", guest_is_asked}};
const std::vector<Proof> kMemoryProofs = {{"Map", memory_is_mapped}, {"Read", memory_is_read}};

}  // namespace

void add_silence(Checks& checks) {
  const auto add = [&](std::string interface, std::function<Outcome(Fixture&)> run) {
    checks.push_back({"no silent call", "every call of " + interface + " acts, and one that only says so is found out",
                      std::move(run)});
  };
  add("DomainControl", [](Fixture& f) { return every_call<DomainControl>(f, kDomainProofs); });
  add("ResourceControl", [](Fixture& f) { return every_call<ResourceControl>(f, kResourceProofs); });
  add("IoControl", [](Fixture& f) { return every_call<IoControl>(f, kIoProofs); });
  add("MemoryAccess", [](Fixture& f) { return every_call<MemoryAccess>(f, kMemoryProofs); });
  add("Events", [](Fixture& f) { return every_call<Events>(f, {{"Next", events_are_told}}); });
  add("BootEvidence", [](Fixture& f) { return every_call<BootEvidence>(f, kBootProofs); });
  add("Interchange", interchange_calls_act);
  add("Migration", migration_calls_act);
}

}  // namespace vmsec::conformance
