// The throttle module behind its door, against a backend in memory.
#include <algorithm>
#include <catch2/catch.hpp>

#include "modules/fake_host.hpp"
#include "vmsec/capability/io_control.hpp"
#include "vmsec/service/enforcement.hpp"

namespace vmsec::test {
namespace {

class FakeIo final : public IoControl {
 public:
  Result<IoLimits> get(const DomainRef&) override { return limits; }
  Result<Empty> set_disk(const SetDiskLimit& request) override {
    calls.push_back(request.limit.target);
    if (request.limit.target == refuses) return fail(Code::unsupported, "this disk cannot be bounded");
    if (ignores) return Empty{};
    const auto disk = std::ranges::find(limits.disks, request.limit.target, &DiskLimit::target);
    if (disk == limits.disks.end()) return fail(Code::not_found, "no such disk");
    *disk = request.limit;
    if (disk->burst_seconds == 0) disk->burst_seconds = 1;  // as QEMU reports it
    return Empty{};
  }
  Result<Empty> set_nic(const SetNicLimit& request) override {
    calls.push_back(request.limit.target);
    const auto nic = std::ranges::find(limits.nics, request.limit.target, &NicLimit::target);
    if (nic == limits.nics.end()) return fail(Code::not_found, "no such NIC");
    *nic = request.limit;
    nic->receive.value = nic->receive.value / 1024 * 1024;  // as libvirt keeps it
    nic->transmit.value = nic->transmit.value / 1024 * 1024;
    return Empty{};
  }
  Result<IoStatistics> statistics(const DomainRef&) override { return IoStatistics{}; }

  IoLimits limits{{{.target = "vda"}, {.target = "vdb"}}, {{.target = "tap0"}, {.target = "tap.1"}}};
  std::vector<std::string> calls;
  std::string refuses;
  bool ignores = false;
};

struct Bench {
  Bench() {
    domains.info.domain = Uuid({7});
    domains.info.name = "web-1";
    host.serve<IoControl>(io);
    host.serve<DomainControl>(domains);
    host.serve<Journal>(journal);
    auto loaded = LoadedModule::load(host);
    REQUIRE(loaded);
    module = std::move(*loaded);
    face = module->face<Enforcement>();
  }
  Result<Changes> apply(const Settings& wanted) { return face->apply({domains.info.domain, wanted}); }
  Result<Changes> diff(const Settings& wanted) { return face->diff({domains.info.domain, wanted}); }

  FakeIo io;
  FakeDomains domains;
  FakeJournal journal;
  FakeHost host;
  std::unique_ptr<LoadedModule> module;
  std::unique_ptr<Enforcement> face;
};

std::string lines(const Result<Changes>& changes) {
  if (!changes) return changes.error().message;
  std::string out;
  for (const auto& change : changes->changes) out += change.what + ": " + change.is + " -> " + change.wanted + "\n";
  return out;
}

Settings everything() {
  return SectionBuilder()
      .text("disk.vda.read", "20 MB/s")
      .text("disk.vda.write", "5 MiB/s")
      .text("disk.vda.read_ops", "500 ops/s")
      .text("disk.vda.read_burst", "40 MB/s")
      .integer("disk.vda.burst_seconds", 5)
      .text("nic.tap0.receive", "80 Mbit/s");
}

const char* const kAllChanges =
    "vda.read: unlimited -> 20 MB/s\n"
    "vda.write: unlimited -> 5 MiB/s\n"
    "vda.read_ops: unlimited -> 500 ops/s\n"
    "vda.read_burst: none -> 40 MB/s\n"
    "vda.burst_seconds: none -> 5 s\n"
    "tap0.receive: unlimited -> 10 MB/s\n";

TEST_CASE("throttle: diff says what differs, in words, and changes nothing") {
  Bench bench;
  CHECK(lines(bench.diff(everything())) == kAllChanges);
  CHECK(bench.io.calls.empty());
  CHECK(bench.journal.entries.empty());
}

TEST_CASE("throttle: apply makes it so, and a second apply changes nothing though the backend rounds") {
  Bench bench;
  CHECK(lines(bench.apply(everything())) == kAllChanges);
  CHECK(bench.io.limits.disks[0].read.value == 20'000'000);
  CHECK(bench.io.limits.disks[0].burst_seconds == 5);
  CHECK(bench.io.limits.nics[0].receive.value == 9'999'360);
  CHECK(bench.io.limits.disks[1] == DiskLimit{.target = "vdb"});
  CHECK(lines(bench.apply(everything())).empty());
  CHECK(bench.io.calls == std::vector<std::string>{"vda", "tap0"});
  CHECK(bench.journal.entries.size() == 2);
}

TEST_CASE("throttle: what a device's table does not name is left as it is") {
  Bench bench;
  bench.io.limits.disks[0].write = {7'000'000};
  REQUIRE(bench.apply(SectionBuilder().text("disk.vda.read", "1 MB/s")));
  CHECK(bench.io.limits.disks[0].read.value == 1'000'000);
  CHECK(bench.io.limits.disks[0].write.value == 7'000'000);
}

TEST_CASE("throttle: a rate that comes without a burst takes an old burst away") {
  Bench bench;
  REQUIRE(bench.apply(everything()));
  CHECK(lines(bench.apply(SectionBuilder().text("disk.vda.read", "20 MB/s"))) == "vda.read_burst: 40 MB/s -> none\n");
  CHECK(lines(bench.apply(SectionBuilder().text("disk.vda.read", "unlimited"))) == "vda.read: 20 MB/s -> unlimited\n");
}

TEST_CASE("throttle: * is every device, and a device's own table comes before it") {
  Bench bench;
  const Settings wanted = SectionBuilder()
                              .text("disk.\"*\".read", "10 MB/s")
                              .text("disk.\"*\".write", "9 MB/s")
                              .text("disk.vdb.read", "unlimited")
                              .text("nic.\"*\".transmit", "8 MB/s")
                              .text("nic.\"tap.1\".transmit", "1 MB/s");
  CHECK(lines(bench.apply(wanted)) ==
        "vda.read: unlimited -> 10 MB/s\n"
        "vda.write: unlimited -> 9 MB/s\n"
        "vdb.write: unlimited -> 9 MB/s\n"
        "tap0.transmit: unlimited -> 8 MB/s\n"
        "tap.1.transmit: unlimited -> 1 MB/s\n");
  CHECK(lines(bench.apply(wanted)).empty());
}

TEST_CASE("throttle: * of a domain without devices is no error and changes nothing") {
  Bench bench;
  bench.io.limits = {};
  CHECK(lines(bench.apply(SectionBuilder().text("disk.\"*\".read", "10 MB/s").text("nic.\"*\".receive", "1 MB/s")))
            .empty());
}

TEST_CASE("throttle: a device that the domain does not have is an error that names it and those there are") {
  Bench bench;
  for (const bool apply : {false, true}) {
    const Settings disk = SectionBuilder().text("disk.vda.read", "1 MB/s").text("disk.vdz.read", "1 MB/s");
    const auto changes = apply ? bench.apply(disk) : bench.diff(disk);
    REQUIRE_FALSE(changes);
    CHECK(changes.error().code == Code::not_found);
    CHECK(changes.error().message == "throttle web-1: there is no disk \"vdz\"; it has vda, vdb");
    const Settings nic = SectionBuilder().text("nic.eth9.receive", "1 MB/s");
    CHECK((apply ? bench.apply(nic) : bench.diff(nic)).error().message ==
          "throttle web-1: there is no NIC \"eth9\"; it has tap0, tap.1");
  }
  CHECK(bench.io.calls.empty());
}

TEST_CASE("throttle: where a device fails, the error says which were set before, and it is recorded") {
  Bench bench;
  bench.io.refuses = "vdb";
  const auto changes = bench.apply(SectionBuilder().text("disk.\"*\".read", "1 MB/s"));
  REQUIRE_FALSE(changes);
  CHECK(changes.error().code == Code::unsupported);
  CHECK(changes.error().message == "throttle web-1: disk vdb (after disk vda): this disk cannot be bounded");
  REQUIRE(bench.journal.entries.size() == 2);
  CHECK(bench.journal.entries[0].detail == "begins: vda.read: unlimited -> 1 MB/s; vdb.read: unlimited -> 1 MB/s");
  CHECK(bench.journal.entries[1].outcome == Outcome::failed);
  CHECK_THAT(bench.journal.entries[1].detail, Catch::Contains("cannot be bounded"));
}

TEST_CASE("throttle: a backend that says yes and does nothing is found out") {
  Bench bench;
  bench.io.ignores = true;
  CHECK_THAT(lines(bench.apply(everything())), Catch::Contains("still differs: vda.read: unlimited -> 20 MB/s"));
  CHECK(bench.journal.entries.back().outcome == Outcome::failed);
}

TEST_CASE("throttle: a rate that the backend rounds to nothing near it is an error") {
  Bench bench;
  const auto changes = bench.apply(SectionBuilder().text("nic.tap0.receive", "1500 B/s"));
  REQUIRE_FALSE(changes);
  CHECK_THAT(changes.error().message, Catch::Contains("still differs: tap0.receive: 1 KiB/s -> 1.5 kB/s"));
}

TEST_CASE("throttle: what cannot be recorded does not happen") {
  Bench bench;
  bench.journal.refuse_from = 0;
  CHECK_THAT(lines(bench.apply(everything())), Catch::StartsWith("throttle web-1: nothing was changed"));
  CHECK(bench.io.calls.empty());
  bench.journal.refuse_from = 1;
  CHECK_THAT(lines(bench.apply(everything())), Catch::Contains("its end is not recorded"));
}

TEST_CASE("throttle: check finds each bad value with its place and cause") {
  struct Bad {
    Settings section;
    const char* message;
  };
  const auto b = [] { return SectionBuilder(); };
  const Bad table[] = {
      {b().text("disks.vda.read", "1 MB/s"), "disks.vda.read: unknown key: want disk.<device>.<limit>"},
      {b().text("disk.vda", "1 MB/s"), "disk.vda: unknown key"},
      {b().text("disk.vda.read.all", "1 MB/s"), "unknown key"},
      {b().text("disk.\"\".read", "1 MB/s"), "unknown key"},
      {b().text("disk.vda.speed", "1 MB/s"), "disk.vda.speed: unknown key: want read, write"},
      {b().text("nic.tap0.read", "1 MB/s"), "nic.tap0.read: unknown key: want receive or transmit"},
      {b().text("disk.vda.read", "20"), "\"20\" is not a rate: the unit is missing"},
      {b().text("disk.vda.read", "20 MB"), "unknown unit \"MB\""},
      {b().text("disk.vda.read", "500 ops/s"), "unknown unit \"ops/s\""},
      {b().text("disk.vda.read_ops", "20 MB/s"), "unknown unit \"MB/s\""},
      {b().text("disk.vda.write", "-1 MB/s"), "it is negative"},
      {b().text("disk.vda.write", "99999999999999 GB/s"), "it is too large"},
      {b().text("disk.vda.write", "0 MB/s"), "0 is no limit"},
      {b().integer("disk.vda.read", 20), "it is an integer: want a text with B/s"},
      {b().list("nic.tap0.receive", {"1 MB/s"}), "it is a list: want a text"},
      {b().text("nic.tap0.receive", ""), "it is empty"},
      {b().text("nic.tap0.receive", std::string("1 MB/s\0", 7)), "it has a NUL"},
      {b().integer("disk.vda.burst_seconds", 0), "0 is out of range: want an integer of 1 to 3600"},
      {b().integer("disk.vda.burst_seconds", 5), "there is no burst: want read_burst or write_burst beside it"},
      {b().text("disk.vda.read_burst", "1 MB/s"), "a burst needs a rate to exceed: want read beside it"},
      {b().text("disk.vda.read", "1 MB/s").text("disk.vda.read_burst", "2 MB/s"), "a burst needs its length"},
      {b().text("disk.vda.write", "2 MB/s").text("disk.vda.write_burst", "2 MB/s"),
       "the burst is not above the rate, 2 MB/s"},
      {b().text("disk.vda.read", "1 MB/s").text("disk.vda.read", "2 MB/s"), "it is set twice"},
  };
  Bench bench;
  for (const Bad& bad : table) {
    INFO(bad.message);
    const auto findings = bench.face->check(bad.section);
    REQUIRE(findings);
    REQUIRE(findings->findings.size() == 1);
    CHECK_THAT(findings->findings[0].message, Catch::Contains(bad.message));
    CHECK(findings->findings[0].line == 10 + bad.section.settings.size());
    CHECK(findings->findings[0].column == 7);
    CHECK_THAT(lines(bench.apply(bad.section)),
               Catch::StartsWith("throttle web-1: line ") && Catch::Contains(bad.message));
  }
  CHECK(bench.io.calls.empty());
  CHECK(bench.face->check(everything())->findings.empty());
}

TEST_CASE("throttle: where it may not ask for a domain's name, its id stands in messages") {
  Bench bench;
  bench.domains.info.domain = Uuid({8});
  const auto changes = bench.face->diff({Uuid({7}), SectionBuilder().text("disk.x.read", "1 MB/s")});
  CHECK_THAT(changes.error().message, Catch::StartsWith("throttle " + Uuid({7}).text() + ": there is no disk \"x\""));
}

TEST_CASE("throttle: it is not created with settings that it does not know, nor without its grants") {
  FakeHost empty;
  CHECK(LoadedModule::load(empty).error().code == Code::denied);
  Bench bench;
  CHECK_THAT(LoadedModule::load(bench.host, SectionBuilder().integer("speed", 3)).error().message,
             Catch::Contains("speed: unknown key"));
}

}  // namespace
}  // namespace vmsec::test
