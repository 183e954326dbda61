// A definition as libxl's JSON and back. What libxl itself writes is from a real Xen 4.17.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "libxl_json.hpp"
#include "random_definition.hpp"
#include "vmsec/definition.hpp"

using namespace vmsec;
using namespace vmsec::xen;
using nlohmann::json;

namespace {

DomainDefinition web() {
  DomainDefinition out;
  out.domain = *Uuid::parse("5f08b624-2dcb-4ea5-8f7b-75a8a056f9d6");
  out.name = "web";
  out.vcpus = 2;
  out.vcpus_maximum = 3;
  out.memory.value = 128ULL << 20;
  out.disks = {{"vda", "/srv/web.img", DiskFormat::raw, false}, {"vdc", "/dev/vg/data", DiskFormat::raw, true}};
  out.nics = {{"52:54:00:12:34:56", "br0"}, {"52:54:00:12:34:57", ""}};
  out.boot = {Firmware::none, "/boot/vmlinuz", "/boot/initrd", "console=hvc0 quiet"};
  return out;
}

std::vector<std::string> places(const std::vector<Loss>& losses) {
  std::vector<std::string> out;
  for (const Loss& loss : losses) {
    CHECK_FALSE(loss.reason.empty());
    out.push_back(loss.place);
  }
  return out;
}

using Places = std::vector<std::string>;

// As libxl kept it beside a domain of xl's: pvh, two of three vCPUs, a disk, a NIC.
const char* const kBuiltByXl = R"({"c_info":{"type":"pvh","name":"web","domid":4294967295,
"uuid":"5f08b624-2dcb-4ea5-8f7b-75a8a056f9d6","run_hotplug_scripts":"True"},"b_info":{"max_vcpus":3,
"avail_vcpus":[0,1],"max_memkb":98304,"target_memkb":98304,"video_memkb":0,"sched_params":{},"claim_mode":"True",
"kernel":"/tmp/vmlinux","cmdline":"console=hvc0 quiet","ramdisk":"/tmp/guest.cpio.gz","type.pvh":{},"arch_arm":{},
"arch_x86":{"msr_relaxed":"False"}},"disks":[{"pdev_path":"/tmp/f.img","vdev":"xvda","format":"raw",
"colo_restore_enable":"False"}],"nics":[{"devid":0,"mac":"00:16:3e:76:97:06","bridge":"br0","nictype":"vif"}],
"on_reboot":"restart","on_soft_reset":"soft_reset"})";

struct Built {
  json document = json::parse(kBuiltByXl);

  Places lost_with(const char* pointer, json value) {
    const json before = document;
    document[json::json_pointer(pointer)] = value;
    const auto exported = from_libxl_json(document.dump());
    document = before;
    INFO(pointer << " = " << value.dump() << (exported ? "" : ": " + exported.error().message));
    REQUIRE(exported);
    return places(exported->losses);
  }
};

}  // namespace

TEST_CASE("a definition becomes the JSON that libxl reads") {
  const Translation native = to_libxl_json(web());
  CHECK(native.format == "libxl-json");
  CHECK(native.losses.empty());
  const json text = json::parse(native.text);
  CHECK(text["c_info"] == json({{"type", "pvh"}, {"name", "web"}, {"uuid", "5f08b624-2dcb-4ea5-8f7b-75a8a056f9d6"}}));
  CHECK(text["b_info"]["max_vcpus"] == 3);
  CHECK(text["b_info"]["avail_vcpus"] == json({0, 1}));
  CHECK(text["b_info"]["max_memkb"] == 131072);
  CHECK(text["b_info"]["target_memkb"] == 131072);
  CHECK(text["b_info"]["type.pvh"] == json::object());
  CHECK(text["b_info"]["kernel"] == "/boot/vmlinuz");
  CHECK(text["b_info"]["ramdisk"] == "/boot/initrd");
  CHECK(text["b_info"]["cmdline"] == "console=hvc0 quiet");
  CHECK(text["disks"][0] ==
        json({{"pdev_path", "/srv/web.img"}, {"vdev", "xvda"}, {"format", "raw"}, {"readwrite", 1}}));
  CHECK(text["disks"][1] ==
        json({{"pdev_path", "/dev/vg/data"}, {"vdev", "xvdc"}, {"format", "raw"}, {"readwrite", 0}}));
  CHECK(text["nics"][0] == json({{"devid", 0}, {"mac", "52:54:00:12:34:56"}, {"bridge", "br0"}, {"nictype", "vif"}}));
  CHECK(
      text["nics"][1] ==
      json({{"devid", 1}, {"mac", "52:54:00:12:34:57"}, {"bridge", ""}, {"nictype", "vif"}, {"script", "/bin/true"}}));
  CHECK(to_libxl_json(web()).text == native.text);
}

TEST_CASE("what libxl cannot say is lost by name, in the definition's order") {
  DomainDefinition definition = web();
  definition.tpm = true;
  definition.tags = {"gold"};
  CHECK(places(to_libxl_json(definition).losses) == Places{"tpm", "tags"});
  definition.boot = {};
  CHECK(places(to_libxl_json(definition).losses) == Places{"boot.firmware", "tpm", "tags"});
  definition.boot.firmware = Firmware::uefi;
  definition.guest = GuestKind::pv;
  CHECK(places(to_libxl_json(definition).losses) == Places{"boot.firmware", "tpm", "tags"});
  definition.guest = GuestKind::hvm;
  CHECK(places(to_libxl_json(definition).losses) == Places{"disk.vdc", "tpm", "tags"});
}

TEST_CASE("an HVM guest's disk that must not be written is left out, and not made writable") {
  DomainDefinition definition = web();
  definition.guest = GuestKind::hvm;
  const json text = json::parse(to_libxl_json(definition).text);
  REQUIRE(text["disks"].size() == 1);
  CHECK(text["disks"][0]["vdev"] == "xvda");
}

TEST_CASE("a qcow2 disk is left out, and not read as raw") {
  DomainDefinition definition = web();
  definition.disks[0].format = DiskFormat::qcow2;
  const Translation native = to_libxl_json(definition);
  CHECK(places(native.losses) == Places{"disk.vda"});
  const json text = json::parse(native.text);
  REQUIRE(text["disks"].size() == 1);
  CHECK(text["disks"][0]["vdev"] == "xvdc");
}

TEST_CASE("an HVM guest has no display, and the firmware that was asked for") {
  DomainDefinition definition = web();
  definition.guest = GuestKind::hvm;
  definition.boot = {Firmware::uefi, {}, {}, {}};
  const json machine = json::parse(to_libxl_json(definition).text)["b_info"]["type.hvm"];
  CHECK(machine["bios"] == "ovmf");
  CHECK(machine["vnc"]["enable"] == "False");
  CHECK(machine["vga"]["kind"] == "none");
}

TEST_CASE("a PV guest's command line that Xen would cut off is lost as a whole") {
  DomainDefinition definition = web();
  definition.boot.command_line = std::string(1023, 'a');
  definition.guest = GuestKind::pv;
  CHECK(to_libxl_json(definition).losses.empty());
  definition.boot.command_line += 'a';
  const Translation native = to_libxl_json(definition);
  CHECK(places(native.losses) == Places{"boot.command_line"});
  CHECK_FALSE(json::parse(native.text)["b_info"].contains("cmdline"));
  definition.guest = GuestKind::usual;
  CHECK(to_libxl_json(definition).losses.empty());
}

TEST_CASE("any definition of which nothing is lost comes back equal") {
  std::mt19937 random(20260401);
  int whole = 0;
  for (int i = 0; i < 5000; ++i) {
    const DomainDefinition definition = random_definition(random);
    REQUIRE_FALSE(find_flaw(definition));
    const Translation native = to_libxl_json(definition);
    if (!native.losses.empty()) continue;
    ++whole;
    const auto back = from_libxl_json(native.text);
    INFO(native.text << (back ? "" : back.error().message));
    REQUIRE(back);
    CHECK(back->losses.empty());
    DomainDefinition wanted = definition;
    if (wanted.guest == GuestKind::pvh) wanted.guest = GuestKind::usual;
    REQUIRE(back->definition == wanted);
  }
  CHECK(whole > 1000);
}

TEST_CASE("what libxl and xl write by themselves is no loss") {
  const auto exported = from_libxl_json(kBuiltByXl);
  REQUIRE(exported);
  CHECK(places(exported->losses) == Places{});
  const DomainDefinition& definition = exported->definition;
  CHECK(definition.name == "web");
  CHECK(definition.guest == GuestKind::usual);
  CHECK(definition.vcpus == 2);
  CHECK(definition.vcpus_maximum == 3);
  CHECK(definition.memory.value == 96ULL << 20);
  CHECK(definition.disks == std::vector<DefinedDisk>{{"vda", "/tmp/f.img", DiskFormat::raw, true}});
  CHECK(definition.nics == std::vector<DefinedNic>{{"00:16:3e:76:97:06", "br0"}});
  CHECK(definition.boot == Boot{Firmware::none, "/tmp/vmlinux", "/tmp/guest.cpio.gz", "console=hvc0 quiet"});
  CHECK(json::parse(exported->text) == json::parse(kBuiltByXl));
}

TEST_CASE("what no definition says is lost with its place") {
  Built built;
  CHECK(built.lost_with("/pcidevs", json::array({{{"dev", 3}}})) == Places{"pcidevs"});
  CHECK(built.lost_with("/vtpms", json::array({json::object()})) == Places{"vtpms"});
  CHECK(built.lost_with("/c_info/pool_name", "fast") == Places{"c_info.pool_name"});
  CHECK(built.lost_with("/c_info/ssid_label", "system_u:x") == Places{"c_info.ssid_label"});
  CHECK(built.lost_with("/c_info/hap", "False") == Places{"c_info.hap"});
  CHECK(built.lost_with("/b_info/bootloader", "pygrub") == Places{"b_info.bootloader"});
  CHECK(built.lost_with("/b_info/type.pvh/pvshim", "True") == Places{"b_info.type.pvh.pvshim"});
  CHECK(built.lost_with("/b_info/sched_params/weight", 512) == Places{"b_info.sched_params.weight"});
  CHECK(built.lost_with("/b_info/vcpu_hard_affinity", json::array({json::array({1})})) ==
        Places{"b_info.vcpu_hard_affinity"});
  CHECK(built.lost_with("/b_info/target_memkb", 65536) == Places{"b_info.target_memkb"});
  CHECK(built.lost_with("/b_info/avail_vcpus", {0, 2}) == Places{"b_info.avail_vcpus"});
  CHECK(built.lost_with("/disks/0/script", "block-iscsi") == Places{"disks[0].script"});
  CHECK(built.lost_with("/disks/0/backend", "qdisk") == Places{"disks[0].backend"});
  CHECK(built.lost_with("/disks/0/backend_domid", 3) == Places{"disks[0].backend_domid"});
  CHECK(built.lost_with("/nics/0/script", "vif-route") == Places{"nics[0].script"});
  CHECK(built.lost_with("/nics/0/rate_bytes_per_interval", 1000) == Places{"nics[0].rate_bytes_per_interval"});
  CHECK(built.lost_with("/nics/0/devid", 4) == Places{"nics[0].devid"});
  CHECK(built.lost_with("/on_crash", "preserve") == Places{"on_crash"});
  CHECK(built.lost_with("/unheard", {{"of", 1}}) == Places{"unheard.of"});
}

TEST_CASE("a device that no definition has is left out, and lost as a whole") {
  Built built;
  CHECK(built.lost_with("/disks/0/format", "qcow2") == Places{});
  CHECK(built.lost_with("/disks/0/is_cdrom", 1) == Places{"disks[0]"});
  CHECK(built.lost_with("/disks/0/vdev", "hda") == Places{"disks[0]"});
  CHECK(built.lost_with("/disks/0/vdev", "xvda1") == Places{"disks[0]"});
  CHECK(built.lost_with("/disks/0/format", "vhd") == Places{"disks[0]"});
  CHECK(built.lost_with("/disks/0/pdev_path", "nbd:host:1") == Places{"disks[0]"});
  CHECK(built.lost_with("/disks/1", built.document["disks"][0]) == Places{"disks[1]"});
  CHECK(built.lost_with("/nics/0/mac", "01:00:5e:00:00:01") == Places{"nics[0]"});
}

TEST_CASE("a NIC whose bridge libxl would choose is not said to be connected") {
  Built built;
  CHECK(built.lost_with("/nics/0", {{"devid", 0}, {"mac", "00:16:3e:76:97:06"}}) == Places{"nics[0].bridge"});
  CHECK(built.lost_with("/nics/0/script", "/bin/true") == Places{"nics[0].bridge"});
  built.document["nics"][0]["script"] = "/bin/true";
  const auto exported = from_libxl_json(built.document.dump());
  REQUIRE(exported);
  CHECK(exported->definition.nics.at(0).bridge.empty());
}

TEST_CASE("a key that only looks like another key's path is lost, and not taken for it") {
  Built built;
  built.document["b_info.kernel"] = "/boot/other";
  const auto exported = from_libxl_json(built.document.dump());
  REQUIRE(exported);
  CHECK(places(exported->losses) == Places{"?"});
  CHECK(exported->definition.boot.kernel == "/tmp/vmlinux");
}

TEST_CASE("what is no configuration of a domain is refused") {
  const auto code = [](const std::string& text) {
    const auto exported = from_libxl_json(text);
    REQUIRE_FALSE(exported);
    CHECK_FALSE(exported.error().message.empty());
    return exported.error().code;
  };
  CHECK(code("<domain/>") == Code::invalid_argument);
  CHECK(code("[]") == Code::invalid_argument);
  CHECK(code("{}") == Code::invalid_argument);
  CHECK(code(std::string(70'000, ' ') + "{}") == Code::limit_exceeded);
  CHECK(code(std::string(30'000, '[')) == Code::invalid_argument);
  const auto changed = [&](const char* pointer, const json& value) {
    json document = json::parse(kBuiltByXl);
    document[json::json_pointer(pointer)] = value;
    return code(document.dump());
  };
  CHECK(changed("/c_info/type", "invalid") == Code::invalid_argument);
  CHECK(changed("/c_info/uuid", "5f08b624") == Code::invalid_argument);
  CHECK(changed("/c_info/name", "") == Code::unsupported);
  CHECK(changed("/c_info/name", "../web") == Code::unsupported);
  CHECK(changed("/b_info/type.pv", json::object()) == Code::invalid_argument);
  CHECK(changed("/b_info/max_memkb", 0) == Code::unsupported);
  CHECK(changed("/b_info/max_memkb", 18446744073709551615ULL) == Code::unsupported);
  CHECK(changed("/b_info/max_memkb", -1) == Code::invalid_argument);
  CHECK(changed("/b_info/max_vcpus", 4294967298ULL) == Code::unsupported);
  CHECK(changed("/b_info/max_vcpus", 1) == Code::unsupported);
  CHECK(changed("/disks/0", 7) == Code::invalid_argument);
  CHECK(changed("/disks/0/vdev", 7) == Code::invalid_argument);
  CHECK(changed("/nics", "br0") == Code::invalid_argument);
}

TEST_CASE("more losses than anybody reads are refused, not cut off") {
  json document = json::parse(kBuiltByXl);
  for (int i = 0; i < 256; ++i) document["k" + std::to_string(i)] = 1;
  REQUIRE(from_libxl_json(document.dump()));
  document["one"] = 1;
  const auto exported = from_libxl_json(document.dump());
  REQUIRE_FALSE(exported);
  CHECK(exported.error().code == Code::limit_exceeded);
}

TEST_CASE("a domain is exported as it is now, and not as it was built") {
  Built built;
  built.document["c_info"]["pool_name"] = "a";
  built.document["disks"][1] = {{"pdev_path", "/tmp/g.img"}, {"vdev", "xvdb"}, {"format", "raw"}, {"readwrite", 1}};
  const auto text = as_it_is_now(built.document.dump(), {"renamed", "a", {"xvdb", "xvdc"}, {"00:16:3e:76:97:06"}});
  REQUIRE(text);
  const auto exported = from_libxl_json(*text);
  REQUIRE(exported);
  CHECK(exported->definition.name == "renamed");
  CHECK(exported->definition.disks == std::vector<DefinedDisk>{{"vdb", "/tmp/g.img", DiskFormat::raw, false}});
  CHECK(exported->definition.nics.size() == 1);
  INFO("xvdc is there, and nobody has written down what it is");
  CHECK(places(exported->losses) == Places{"disks[1]"});
  const auto elsewhere = as_it_is_now(built.document.dump(), {"web", "b", {}, {}});
  REQUIRE(elsewhere);
  CHECK(json::parse(*elsewhere)["c_info"]["pool_name"] == "a");
}
