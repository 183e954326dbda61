#include <algorithm>

#include "fixture.hpp"
#include "suite.hpp"

namespace vmsec::conformance {
namespace {

constexpr BytesPerSecond kRate{4'000'000};

std::optional<DiskLimit> disk_of(const IoLimits& limits, const std::string& target) {
  const auto found =
      std::find_if(limits.disks.begin(), limits.disks.end(), [&](const DiskLimit& d) { return d.target == target; });
  if (found == limits.disks.end()) return std::nullopt;
  return *found;
}

std::optional<NicLimit> nic_of(const IoLimits& limits, const std::string& target) {
  const auto found =
      std::find_if(limits.nics.begin(), limits.nics.end(), [&](const NicLimit& n) { return n.target == target; });
  if (found == limits.nics.end()) return std::nullopt;
  return *found;
}

// Sets a disk limit, reads it back, and takes it away again.
template <class Test>
Outcome with_disk_limit(Fixture& fixture, DiskLimit limit, Test&& test) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  limit.target = fixture.setup().disk;
  const auto io = fixture.open_a<IoControl>();
  CONFORMANCE_CHECK(io->set_disk({domain, limit}));
  CONFORMANCE_TRY(const auto now, io->get({domain}));
  const auto mine = disk_of(now, limit.target);
  const Outcome outcome = mine ? test(domain, *mine) : failed("get does not tell the limit of " + limit.target);
  DiskLimit none;
  none.target = limit.target;
  CONFORMANCE_CHECK(io->set_disk({domain, none}));
  return outcome;
}

Result<std::uint64_t> bytes_read(Fixture& fixture, const Uuid& domain) {
  VMSEC_TRY(const auto statistics, fixture.open_a<IoControl>()->statistics({domain}));
  for (const auto& disk : statistics.disks)
    if (disk.target == fixture.setup().disk) return disk.read.value;
  return fail(Code::not_found, "no counters of disk " + fixture.setup().disk);
}

Outcome devices_are_told(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto limits, fixture.open_a<IoControl>()->get({domain}));
  CONFORMANCE_EXPECT(disk_of(limits, fixture.setup().disk).has_value(), "disk is missing");
  return passed(std::to_string(limits.disks.size()) + " disks, " + std::to_string(limits.nics.size()) + " NICs");
}

Outcome counters_ascend(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const std::uint64_t before, bytes_read(fixture, domain));
  const bool more = wait_until([&] {
    const auto now = bytes_read(fixture, domain);
    return now && *now > before;
  });
  CONFORMANCE_EXPECT(more, "no byte was counted");
  return passed();
}

Outcome limit_holds(Fixture& fixture) {
  DiskLimit limit;
  limit.read = kRate;
  return with_disk_limit(fixture, limit, [&](const Uuid& domain, const DiskLimit&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));  // what was let through before is spent
    const auto start = std::chrono::steady_clock::now();
    CONFORMANCE_TRY(const std::uint64_t before, bytes_read(fixture, domain));
    std::this_thread::sleep_for(std::chrono::milliseconds(4000));
    CONFORMANCE_TRY(const std::uint64_t after, bytes_read(fixture, domain));
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    const double rate = static_cast<double>(after - before) / elapsed.count();
    const std::string figure = std::to_string(static_cast<int>(rate / 1000)) + " kB/s, limit 4000";
    CONFORMANCE_EXPECT(rate <= 1.3 * static_cast<double>(kRate.value), figure);
    CONFORMANCE_EXPECT(rate > 0.2 * static_cast<double>(kRate.value), figure + ": the disk is hardly used");
    return passed(figure);
  });
}

Outcome all_fields_are_read_back(Fixture& fixture) {
  DiskLimit limit;
  limit.read = {6'000'000};
  limit.write = {5'000'000};
  limit.read_ops = {700};
  limit.write_ops = {600};
  limit.read_burst = {12'000'000};
  limit.write_burst = {10'000'000};
  limit.burst_seconds = 3;
  return with_disk_limit(fixture, limit, [&](const Uuid&, const DiskLimit& now) {
    DiskLimit wanted = limit;
    wanted.target = now.target;
    CONFORMANCE_EXPECT(now == wanted, "a field differs from what was set");
    return passed();
  });
}

// One field, read back; bytes exactly, and nothing else set.
template <class Set>
Outcome field_is_read_back(Fixture& fixture, Set set) {
  DiskLimit limit;
  set(limit);
  return with_disk_limit(fixture, limit, [&](const Uuid&, const DiskLimit& now) {
    limit.target = now.target;
    CONFORMANCE_EXPECT(now == limit, "it differs from what was set");
    return passed();
  });
}

Outcome operations_hold(Fixture& fixture) {
  DiskLimit limit;
  limit.read_ops = {40};
  return with_disk_limit(fixture, limit, [&](const Uuid& domain, const DiskLimit&) {
    const auto io = fixture.open_a<IoControl>();
    const auto operations = [&]() -> Result<std::uint64_t> {
      VMSEC_TRY(const auto statistics, io->statistics({domain}));
      for (const auto& disk : statistics.disks)
        if (disk.target == fixture.setup().disk) return disk.read_ops;
      return fail(Code::not_found, "no counters of the disk");
    };
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));  // what was let through before is spent
    const auto start = std::chrono::steady_clock::now();
    CONFORMANCE_TRY(const std::uint64_t before, operations());
    std::this_thread::sleep_for(std::chrono::milliseconds(3000));
    CONFORMANCE_TRY(const std::uint64_t after, operations());
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    const double rate = static_cast<double>(after - before) / elapsed.count();
    const std::string figure = std::to_string(static_cast<int>(rate)) + " operations/s, limit 40";
    CONFORMANCE_EXPECT(rate <= 1.3 * 40, figure);
    CONFORMANCE_EXPECT(rate > 0.2 * 40, figure + ": the disk is hardly used");
    return passed(figure);
  });
}

Outcome setting_twice_is_once(Fixture& fixture) {
  DiskLimit limit;
  limit.write = kRate;
  return with_disk_limit(fixture, limit, [&](const Uuid& domain, const DiskLimit& now) {
    const auto io = fixture.open_a<IoControl>();
    CONFORMANCE_CHECK(io->set_disk({domain, now}));
    CONFORMANCE_TRY(const auto limits, io->get({domain}));
    CONFORMANCE_EXPECT(disk_of(limits, now.target) == now, "the second time gave another value");
    return passed();
  });
}

Outcome paused_domain_takes_a_limit(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->pause({domain}));
  const Outcome outcome = field_is_read_back(fixture, [](DiskLimit& limit) { limit.read = kRate; });
  CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->resume({domain}));
  return outcome;
}

Outcome paused_domain_reads_nothing(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->pause({domain}));
  std::this_thread::sleep_for(std::chrono::milliseconds(1000));  // what is under way ends
  const auto before = bytes_read(fixture, domain);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const auto after = bytes_read(fixture, domain);
  CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->resume({domain}));
  if (!before) return from_error(before.error());
  if (!after) return from_error(after.error());
  CONFORMANCE_EXPECT(*after == *before, std::to_string(*after - *before) + " bytes were counted");
  return passed();
}

Outcome disk_limit_leaves_nics(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto before, fixture.open_a<IoControl>()->get({domain}));
  DiskLimit limit;
  limit.read = kRate;
  return with_disk_limit(fixture, limit, [&](const Uuid&, const DiskLimit&) {
    CONFORMANCE_TRY(const auto now, fixture.open_a<IoControl>()->get({domain}));
    CONFORMANCE_EXPECT(now.nics == before.nics && now.disks.size() == before.disks.size(), "other devices changed");
    return passed();
  });
}

Outcome limit_is_told(Fixture& fixture) {
  const auto events = fixture.open_a<Events>();
  CONFORMANCE_TRY(const auto before, events->next({0, {}, 1}));
  DiskLimit limit;
  limit.write = kRate;
  return with_disk_limit(fixture, limit, [&](const Uuid& domain, const DiskLimit&) {
    const bool told = wait_until([&] {
      const auto list = events->next({before.last, {100'000}, 0});
      return list && std::ranges::any_of(list->events, [&](const Event& each) {
               return each.kind == EventKind::limits_changed && each.domain == domain;
             });
    });
    CONFORMANCE_EXPECT(told, "no event told of it");
    return passed();
  });
}

Outcome counters_have_devices(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({domain}));
  CONFORMANCE_TRY(const auto statistics, fixture.open_a<IoControl>()->statistics({domain}));
  CONFORMANCE_EXPECT(statistics.disks.size() == info.disks.size(), "not every disk is counted, or others");
  CONFORMANCE_EXPECT(statistics.nics.size() == info.nics.size(), "not every NIC is counted, or others");
  return passed();
}

Outcome limit_replaces_limit(Fixture& fixture) {
  DiskLimit first;
  first.read_ops = {500};
  return with_disk_limit(fixture, first, [&](const Uuid& domain, const DiskLimit& now) {
    DiskLimit second;
    second.target = now.target;
    second.read = kRate;
    const auto io = fixture.open_a<IoControl>();
    CONFORMANCE_CHECK(io->set_disk({domain, second}));
    CONFORMANCE_TRY(const auto limits, io->get({domain}));
    CONFORMANCE_EXPECT(disk_of(limits, now.target) == second, "the first limit is still there");
    return passed();
  });
}

Outcome limit_is_taken_away(Fixture& fixture) {
  DiskLimit limit;
  limit.read = kRate;
  const Outcome set = with_disk_limit(fixture, limit, [](const Uuid&, const DiskLimit&) { return passed(); });
  if (set.verdict != Verdict::passed) return set;
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto limits, fixture.open_a<IoControl>()->get({domain}));
  const auto now = disk_of(limits, fixture.setup().disk);
  CONFORMANCE_EXPECT(now && now->read.value == 0, "a limit is still there");
  return passed();
}

Outcome limit_survives_pause(Fixture& fixture) {
  DiskLimit limit;
  limit.read = kRate;
  return with_disk_limit(fixture, limit, [&](const Uuid& domain, const DiskLimit& now) {
    CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->pause({domain}));
    CONFORMANCE_CHECK(fixture.open_a<DomainControl>()->resume({domain}));
    CONFORMANCE_TRY(const auto limits, fixture.open_a<IoControl>()->get({domain}));
    CONFORMANCE_EXPECT(disk_of(limits, now.target) == now, "it is gone, or changed");
    return passed();
  });
}

// A refusal must change nothing.
template <class Call>
Outcome refused(Fixture& fixture, Code code, Call&& call) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto io = fixture.open_a<IoControl>();
  CONFORMANCE_TRY(const auto before, io->get({domain}));
  const Outcome outcome = expect(code, call(*io, domain));
  CONFORMANCE_TRY(const auto after, io->get({domain}));
  CONFORMANCE_EXPECT(wire::encode(before) == wire::encode(after), "the refused call changed a limit");
  return outcome;
}

Outcome unknown_disk(Fixture& fixture) {
  return refused(fixture, Code::not_found, [](IoControl& io, const Uuid& domain) {
    DiskLimit limit;
    limit.target = "nosuchdisk";
    limit.read = kRate;
    return io.set_disk({domain, limit});
  });
}

Outcome unknown_nic(Fixture& fixture) {
  return refused(fixture, Code::not_found, [](IoControl& io, const Uuid& domain) {
    return io.set_nic({domain, NicLimit{"nosuchnic", kRate, kRate}});
  });
}

Outcome nic_limit(Fixture& fixture) {
  if (fixture.setup().nic.empty()) return {Verdict::unsupported, "the domain has no NIC"};
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto io = fixture.open_a<IoControl>();
  const std::string target = fixture.setup().nic;
  CONFORMANCE_CHECK(io->set_nic({domain, NicLimit{target, {2'000'000}, {1'000'000}}}));
  CONFORMANCE_TRY(const auto set, io->get({domain}));
  CONFORMANCE_CHECK(io->set_nic({domain, NicLimit{target, {}, {}}}));
  CONFORMANCE_TRY(const auto none, io->get({domain}));
  const auto near = [](BytesPerSecond is, std::uint64_t wanted) {
    return is.value >= wanted * 99 / 100 && is.value <= wanted * 101 / 100;
  };
  const auto now = nic_of(set, target);
  CONFORMANCE_EXPECT(now && near(now->receive, 2'000'000) && near(now->transmit, 1'000'000),
                     "it is not read back as set");
  const auto later = nic_of(none, target);
  CONFORMANCE_EXPECT(later && later->receive.value == 0 && later->transmit.value == 0, "it was not taken away");
  return passed();
}

}  // namespace

void add_io_control(Checks& checks) {
  const auto add = [&](std::string claim, std::function<Outcome(Fixture&)> run) {
    checks.push_back({"IoControl", std::move(claim), std::move(run)});
  };
  add("every device of the domain is told", devices_are_told);
  add("the counters ascend", counters_ascend);
  add("a disk limit holds, measured", limit_holds);
  add("every field of a disk limit is read back", all_fields_are_read_back);
  add("a disk's write rate is read back",
      [](Fixture& f) { return field_is_read_back(f, [](DiskLimit& limit) { limit.write = kRate; }); });
  add("a disk's read operations are read back",
      [](Fixture& f) { return field_is_read_back(f, [](DiskLimit& limit) { limit.read_ops = {150}; }); });
  add("a disk's write operations are read back",
      [](Fixture& f) { return field_is_read_back(f, [](DiskLimit& limit) { limit.write_ops = {250}; }); });
  add("a limit of operations holds, measured", operations_hold);
  add("setting a disk limit twice changes nothing", setting_twice_is_once);
  add("a paused domain takes a disk limit", paused_domain_takes_a_limit);
  add("a paused domain reads nothing", paused_domain_reads_nothing);
  add("a disk limit leaves other devices as they are", disk_limit_leaves_nics);
  add("a changed limit is told by an event", limit_is_told);
  add("every device is counted", counters_have_devices);
  add("a limit replaces the one before as a whole", limit_replaces_limit);
  add("a limit of 0 takes it away", limit_is_taken_away);
  add("a limit survives pause and resume", limit_survives_pause);
  add("a NIC limit is read back and taken away", nic_limit);
  add("a disk that the domain lacks is not_found", unknown_disk);
  add("a NIC that the domain lacks is not_found", unknown_nic);
  add("get of a stranger is not_found",
      [](Fixture& f) { return expect(Code::not_found, f.open_a<IoControl>()->get({stranger()})); });
  add("set on a stranger is not_found", [](Fixture& f) {
    return expect(Code::not_found, f.open_a<IoControl>()->set_disk({stranger(), DiskLimit{"vda"}}));
  });
  add("statistics of a stranger are not_found",
      [](Fixture& f) { return expect(Code::not_found, f.open_a<IoControl>()->statistics({stranger()})); });
}

}  // namespace vmsec::conformance
