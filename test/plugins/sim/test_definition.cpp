// A definition as a domain file, and back: nothing is lost in silence.
#include "definition.hpp"

#include "conformance/lessened.hpp"
#include "libvmsec/policy/random_definition.hpp"

using namespace vmsec;
using namespace vmsec::sim;

namespace {

std::vector<std::string> places_of(const std::vector<Loss>& losses) {
  std::vector<std::string> out;
  for (const auto& loss : losses) {
    CHECK_FALSE(loss.reason.empty());
    out.push_back(loss.place);
  }
  return out;
}

const std::string kHead = "name = \"vm\"\nuuid = \"5e000000-0000-0000-0000-000000000001\"\n";

}  // namespace

TEST_CASE("what a simulated domain cannot have of a definition is lost with its place, in its order") {
  const auto flawless = [](auto change) {
    DomainDefinition definition = test::Draw(1).definition();
    definition.guest = GuestKind::usual;
    definition.disks = {{"vda", "/a", DiskFormat::raw, false}, {"vdb", "/b", DiskFormat::raw, false}};
    definition.nics = {{"52:54:00:00:00:01", ""}, {"52:54:00:00:00:02", ""}};
    definition.boot = {};
    change(definition);
    return places_of(to_sim(definition).losses);
  };
  CHECK(flawless([](DomainDefinition&) {}).empty());
  CHECK(flawless([](DomainDefinition& d) { d.boot.firmware = Firmware::bios; }) == std::vector<std::string>{"boot"});
  CHECK(flawless([](DomainDefinition& d) {
          d.guest = GuestKind::pvh;
          d.disks[0].format = DiskFormat::qcow2;
          d.disks[1].read_only = true;
          d.nics[1].bridge = "br0";
          d.boot.kernel = "/boot/vmlinuz";
        }) == std::vector<std::string>{"guest", "disk.vda.format", "disk.vdb.read_only", "nic.1.bridge", "boot"});
}

TEST_CASE("a definition comes back as it was but for what was lost, and always by the same text") {
  for (unsigned seed = 0; seed < 300; ++seed) {
    const DomainDefinition definition = test::Draw(seed).definition();
    const Translation translation = to_sim(definition);
    const auto back = from_sim(translation.text);
    if (!back) FAIL("seed " << seed << ": " << back.error().message);
    std::string unknown;
    const DomainDefinition want = conformance::lessened(definition, translation.losses, unknown);
    if (back->definition != want || !unknown.empty()) FAIL("seed " << seed << ": another came back; " << unknown);
    CHECK(back->losses.empty());
    CHECK(to_sim(definition).text == translation.text);
    CHECK(to_sim(want).losses.empty());
  }
}

TEST_CASE("what a domain file says and no definition can is lost with its place") {
  const auto losses = [](const std::string& more) {
    const auto out = from_sim(kHead + more);
    if (!out) FAIL(out.error().message);
    CHECK(out->format == "sim-toml");
    CHECK_FALSE(find_flaw(out->definition));
    return places_of(out->losses);
  };
  using Places = std::vector<std::string>;
  CHECK(losses("memory = \"1 MiB\"\n").empty());
  CHECK(losses("memory = 1052672\n") == Places{"memory"});
  CHECK(losses("memory = \"1 MiB\"\nseed = 1\n[workload]\nfill = 0.1\n") == Places{"seed", "workload"});
  CHECK(losses("memory = \"1 MiB\"\ntags = [\"ok\", \"a tag\", \"ok\"]\n") == Places{"tags", "tags"});
  CHECK(losses("memory = \"1 MiB\"\n[[disk]]\ntarget = \"sda\"\nsource = \"/a\"\nread = 1\nwrite = 1\nblock = 512\n") ==
        Places{"disk.sda.read", "disk.sda.write", "disk.sda.block", "disk.sda.target"});
  CHECK(losses("memory = \"1 MiB\"\n[[nic]]\ntarget = \"tap0\"\nmac = \"52:54:00:00:00:01\"\nreceive = 1\n"
               "transmit = 1\n") == Places{"nic.tap0.target", "nic.tap0.receive", "nic.tap0.transmit"});
}

TEST_CASE("disks whose names no definition has get names that no other disk has") {
  const auto out =
      from_sim(kHead +
               "memory = \"1 MiB\"\n[[disk]]\ntarget = \"sda\"\nsource = \"/a\"\n"
               "[[disk]]\ntarget = \"vda\"\nsource = \"/b\"\n[[disk]]\ntarget = \"sdb\"\nsource = \"/c\"\n");
  REQUIRE(out);
  REQUIRE(out->definition.disks.size() == 3);
  CHECK(out->definition.disks[0].target == "vdb");
  CHECK(out->definition.disks[1].target == "vda");
  CHECK(out->definition.disks[2].target == "vdc");
}

TEST_CASE("a domain that no definition can describe is not exported") {
  const auto code = [](const std::string& more) {
    const auto out = from_sim(kHead + "memory = \"1 MiB\"\n" + more);
    return out ? Code::ok : out.error().code;
  };
  CHECK(code("[[nic]]\ntarget = \"nic0\"\nmac = \"01:54:00:00:00:01\"\n") == Code::unsupported);
  CHECK(code("[[disk]]\ntarget = \"vda\"\nsource = \"a.img\"\ncapacity = 4096\n") == Code::unsupported);
  CHECK(code("colour = 1\n") == Code::invalid_argument);
}
