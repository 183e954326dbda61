// Domains by their definition on a simulated host: defined, started, undefined, exported; and what a restart keeps.
#include "sim_fixture.hpp"

using namespace vmsec;
using namespace vmsec::sim;

namespace {

struct Bench {
  Bench() {
    write_file(disk, std::string(8192, 'x'));
    host.start();
  }
  [[nodiscard]] Interchange& interchange() const { return **host.backend->interchange(); }
  [[nodiscard]] DefineDomain request(unsigned number = 1) const {
    DefineDomain out{uuid_of(number), {}, {}};
    auto& definition = out.definition;
    definition.domain = out.domain;
    definition.name = "vm-" + std::to_string(number);
    definition.vcpus = 2;
    definition.vcpus_maximum = 2;
    definition.memory = {4 << 20};
    definition.disks = {{"vda", disk, DiskFormat::raw, false}};
    definition.nics = {{"52:54:00:00:00:01", ""}};
    definition.tags = {"new"};
    return out;
  }
  void restart() {
    host.stop();
    host.start();
  }

  TempDir root;
  TestHost host{root, "a"};
  std::string disk = root / "disk.raw";
};

template <class T>
Code code_of(const Result<T>& result) {
  return result ? Code::ok : result.error().code;
}

}  // namespace

TEST_CASE("a defined domain is off, with its disk's size, and stays so over restarts until it is started") {
  Bench bench;
  REQUIRE(bench.interchange().define(bench.request()));
  auto info = bench.host.control().get({uuid_of(1)});
  REQUIRE(info);
  CHECK(info->state == DomainState::shut_off);
  CHECK(info->disks.at(0).capacity.value == 8192);
  bench.restart();
  CHECK(state_of(bench.host, uuid_of(1)) == DomainState::shut_off);
  REQUIRE(bench.interchange().start({uuid_of(1)}));
  CHECK(state_of(bench.host, uuid_of(1)) == DomainState::running);
  CHECK(code_of(bench.interchange().start({uuid_of(1)})) == Code::wrong_state);
  CHECK(code_of(bench.interchange().undefine({uuid_of(1)})) == Code::wrong_state);
  bench.restart();
  CHECK(state_of(bench.host, uuid_of(1)) == DomainState::running);
}

TEST_CASE("what is exported is what was defined") {
  Bench bench;
  const auto request = bench.request();
  REQUIRE(bench.interchange().define(request));
  const auto off = bench.interchange().export_domain({uuid_of(1)});
  REQUIRE(off);
  CHECK(off->definition == request.definition);
  CHECK(off->losses.empty());
  REQUIRE(bench.interchange().start({uuid_of(1)}));
  CHECK(bench.interchange().export_domain({uuid_of(1)})->text == off->text);
}

TEST_CASE("a domain of the folder is exported by its disks' whole paths") {
  Bench bench;
  bench.host.file("vm-9", domain_text(9, "dirty_rate = 5",
                                      "[[disk]]\ntarget = \"vda\"\nsource = \"nine.img\"\n"
                                      "capacity = \"1 MiB\"\n"));
  bench.restart();
  const auto out = bench.interchange().export_domain({uuid_of(9)});
  REQUIRE(out);
  CHECK(out->definition.disks.at(0).source == bench.host.options.settings.at("disks") + "/nine.img");
  CHECK(out->losses.size() == 2);  // seed, workload
}

TEST_CASE("an undefined domain is gone, also after a restart and where the folder has it; its disk is not") {
  Bench bench;
  REQUIRE(bench.interchange().define(bench.request()));
  bench.host.file("vm-1", domain_text(1, "pattern = \"idle\""));
  REQUIRE(bench.interchange().undefine({uuid_of(1)}));
  CHECK(code_of(bench.interchange().undefine({uuid_of(1)})) == Code::not_found);
  CHECK(std::filesystem::file_size(bench.disk) == 8192);
  bench.restart();
  CHECK(code_of(bench.host.control().get({uuid_of(1)})) == Code::not_found);
  SECTION("and can be defined again") { CHECK(bench.interchange().define(bench.request())); }
}

TEST_CASE("what a migration holds is neither started nor undefined") {
  Bench bench;
  REQUIRE(bench.interchange().define(bench.request()));
  REQUIRE(bench.host.migration().hold({uuid_of(200), uuid_of(1)}));
  CHECK(code_of(bench.interchange().start({uuid_of(1)})) == Code::wrong_state);
  CHECK(code_of(bench.interchange().undefine({uuid_of(1)})) == Code::wrong_state);
}

TEST_CASE("after a define that fails there is no such domain") {
  Bench bench;
  auto request = bench.request();
  Code want = Code::ok;
  SECTION("a missing disk") {
    request.definition.disks[0].source += ".none";
    want = Code::not_found;
  }
  SECTION("a disk too small") {
    write_file(bench.disk, "little");
    want = Code::invalid_argument;
  }
  SECTION("more memory than the host has") {
    request.definition.memory = {std::uint64_t{1} << 44};
    want = Code::limit_exceeded;
  }
  SECTION("a loss") {
    request.definition.boot.firmware = Firmware::uefi;
    want = Code::unsupported;
  }
  SECTION("a fault that was asked for") {
    bench.host.stop();
    bench.host.options.settings["fault.Interchange.Define"] = "io:1";
    bench.host.start();
    want = Code::io;
  }
  CHECK(code_of(bench.interchange().define(request)) == want);
  CHECK(code_of(bench.host.control().get({uuid_of(1)})) == Code::not_found);
}
