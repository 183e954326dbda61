#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "definitions.hpp"
#include "domain_xml.hpp"
#include "paths.hpp"

using namespace vmsec;
using namespace vmsec::kvm;
using namespace vmsec::kvm::test;

namespace {

std::string corpus(const std::string& name) {
  std::ifstream file(std::string(VMSEC_SOURCE_DIR) + "/test/plugins/kvm/interchange/corpus_definition_xml/" + name);
  REQUIRE(file);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

ExportedDomain exported(const std::string& xml) {
  auto out = from_libvirt_xml(xml, kHost);
  if (!out) FAIL(out.error().message);
  return *out;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string said(const std::vector<Loss>& losses) {
  std::string text;
  for (const auto& loss : losses) text += loss.place + "\n";
  return text;
}

// What is lost, when one thing is changed in what libvirt made of the full definition.
std::string lost_with(const std::string& from, const std::string& to) {
  return said(exported(replaced(corpus("full.xml"), from, to)).losses);
}

// The text that libvirt adds nothing to: these make up for it.
std::string as_libvirt(const std::string& translated) {
  return replaced(
      translated, "</devices>",
      "<console type='pty'><target type='serial' port='0'/></console><memballoon model='virtio'/></devices>");
}

}  // namespace

TEST_CASE("what libvirt made of a definition is exported without losses, and equal") {
  const ExportedDomain full = exported(corpus("full.xml"));
  CHECK(said(full.losses) == "");
  CHECK(full.definition == full_definition());
  CHECK(full.format == "libvirt-xml");
  CHECK(full.text == corpus("full.xml"));
  const std::pair<const char*, Firmware> others[] = {
      {"usual.xml", Firmware::none}, {"bios.xml", Firmware::bios}, {"uefi.xml", Firmware::uefi}};
  for (const auto& [name, firmware] : others) {
    INFO(name);
    const ExportedDomain other = exported(corpus(name));
    CHECK(said(other.losses) == "");
    CHECK(other.definition == least_definition(firmware));
  }
}

TEST_CASE("any definition is the same after it was XML") {
  AnyDefinition any(GENERATE(1, 2, 3));
  for (int i = 0; i < 300; ++i) {
    const DomainDefinition definition = any.next();
    REQUIRE_FALSE(find_flaw(definition));
    const Translation translation = to_libvirt_xml(definition, kHost);
    REQUIRE(translation.losses.empty());
    INFO(translation.text);
    const ExportedDomain back = exported(as_libvirt(translation.text));
    CHECK(said(back.losses) == "");
    CHECK(back.definition == definition);
  }
}

TEST_CASE("whether KVM helps is the host's, and no loss") {
  CHECK(lost_with("<domain type='qemu'>", "<domain type='kvm'>") == "");
}

TEST_CASE("of a domain that vmsec did not make, everything that no definition says is a loss") {
  const ExportedDomain out = exported(corpus("foreign.xml"));
  const std::string losses = said(out.losses);
  for (const char* place : {"/domain/qemu:commandline",
                            "/domain/name",
                            "/domain/genid",
                            "/domain/title",
                            "/domain/description",
                            "/domain/metadata/libosinfo",
                            "/domain/currentMemory",
                            "/domain/memoryBacking",
                            "/domain/vcpu/@cpuset",
                            "/domain/iothreads",
                            "/domain/cputune",
                            "/domain/numatune",
                            "/domain/os/type/@machine",
                            "/domain/os/boot/@dev",
                            "/domain/os/bootmenu",
                            "/domain/features/pae",
                            "/domain/features/hyperv",
                            "/domain/features/apic",
                            "/domain/cpu",
                            "/domain/clock",
                            "/domain/on_crash",
                            "/domain/devices/disk[1]/driver/@cache",
                            "/domain/devices/disk[1]/driver/@discard",
                            "/domain/devices/disk[1]/iotune",
                            "/domain/devices/disk[1]/serial",
                            "/domain/devices/disk[2]",
                            "/domain/devices/disk[3]",
                            "/domain/devices/disk[4]",
                            "/domain/devices/interface[1]/@type",
                            "/domain/devices/interface[1]/source/@network",
                            "/domain/devices/interface[2]/model/@type",
                            "/domain/devices/interface[2]/bandwidth",
                            "/domain/devices/interface[3]/target",
                            "/domain/devices/interface[3]/link",
                            "/domain/devices/hostdev[1]",
                            "/domain/devices/hostdev[2]",
                            "/domain/devices/serial",
                            "/domain/devices/channel",
                            "/domain/devices/graphics",
                            "/domain/devices/video",
                            "/domain/devices/sound",
                            "/domain/devices/tpm",
                            "/domain/devices/rng",
                            "/domain/devices/watchdog",
                            "/domain/devices/memballoon"}) {
    INFO(place);
    CHECK(losses.contains(std::string(place) + "\n"));
  }
  for (const auto& loss : out.losses) CHECK_FALSE(loss.reason.empty());
}

TEST_CASE("what can be said of a domain with losses is said") {
  const DomainDefinition d = exported(corpus("foreign.xml")).definition;
  CHECK(d.domain.text() == "5f08b624-2dcb-4ea5-8f7b-75a8a056f9d8");
  CHECK(d.name.empty());  // "legacy 1" is no name of a definition
  CHECK(d.vcpus == 4);
  CHECK(d.memory.value == std::uint64_t{1} << 30);
  CHECK(d.disks == std::vector<DefinedDisk>{{"vda", "/srv/a.qcow2", DiskFormat::qcow2, false}});
  REQUIRE(d.nics.size() == 3);
  CHECK(d.nics[0].bridge.empty());
  CHECK(d.nics[1].bridge == "br0");
  CHECK(d.tags == std::vector<std::string>{"web"});
}

TEST_CASE("a running domain's own names and labels are no losses; the processor that it got is one") {
  const ExportedDomain live = exported(corpus("live.xml"));
  CHECK(said(live.losses) == "/domain/cpu\n");
  CHECK(live.definition.vcpus == 2);
  CHECK(live.definition.vcpus_maximum == 3);
}

TEST_CASE("each thing that is changed is found, at its place") {
  CHECK(lost_with("<domain type='qemu'>", "<domain type='xen'>") == "/domain/@type\n");
  CHECK(lost_with("machine='pc-q35-7.2'", "machine='pc-i440fx-7.2'") == "/domain/os/type/@machine\n");
  CHECK(lost_with("arch='x86_64'", "arch='i686'") == "/domain/os/type/@arch\n");
  CHECK(lost_with("<emulator>/usr/bin/", "<emulator>/opt/") == "/domain/devices/emulator\n");
  CHECK(lost_with("<boot dev='hd'/>", "<boot dev='hd'/><boot dev='network'/>") == "/domain/os/boot[2]\n");
  CHECK(lost_with("<apic/>", "") == "/domain/features/apic\n");
  CHECK(lost_with("<model fallback='forbid'>qemu64", "<model fallback='forbid'>Nehalem") == "/domain/cpu\n");
  CHECK(lost_with("<clock offset='utc'/>", "<clock offset='utc'><timer name='pit'/></clock>") == "/domain/clock\n");
  CHECK(lost_with("<on_reboot>restart", "<on_reboot>destroy") == "/domain/on_reboot\n");
  CHECK(lost_with("<memballoon model='virtio'>", "<memballoon model='virtio' autodeflate='on'>") ==
        "/domain/devices/memballoon\n");
  CHECK(lost_with("model='qemu-xhci'", "model='ich9-ehci1'") == "/domain/devices/controller[1]\n");
  CHECK(lost_with("<readonly/>", "<readonly/><shareable/>") == "/domain/devices/disk[2]/shareable\n");
  CHECK(lost_with("<readonly/>", "<readonly/><alias name='ua-mine'/>") == "/domain/devices/disk[2]/alias\n");
  CHECK(lost_with("<audio id='1'", "<hostdev/><audio id='1'") == "/domain/devices/hostdev\n");
  CHECK(lost_with("<link state='down'/>", "") == "/domain/devices/interface[2]/link\n");
  CHECK(lost_with("<name>", "<name>web-9</name><name>") == "/domain/name[2]\n");
  CHECK(lost_with("web dmz", "web web") == "/domain/metadata/tags\n");
  CHECK(lost_with("guest=\"hvm\"", "guest=\"pv\"") == "/domain/metadata/definition\n");
  CHECK(lost_with("guest=\"hvm\"", "firmware=\"bios\"") == "/domain/metadata/definition\n");
  CHECK(lost_with("</memory>", "1</memory>").starts_with("/domain/memory\n"));
  CHECK(lost_with("source file='/srv/a.img'", "source file='/srv/../a.img'") == "/domain/devices/disk[1]\n");
  CHECK(lost_with("source file='/srv/a.img'", "source file='/dev/sda'") == "/domain/devices/disk[1]/@type\n");
}

TEST_CASE("vCPUs that are plugged by number are as good as a count, as long as they are the first") {
  const std::string listed =
      "</vcpu><vcpus><vcpu id='0' enabled='yes' hotpluggable='no' order='1'/><vcpu id='1' enabled='no' "
      "hotpluggable='yes'/></vcpus>";
  CHECK(lost_with("</vcpu>", listed) == "");
  CHECK(lost_with("</vcpu>", replaced(listed, "enabled='no'", "enabled='yes'")) == "/domain/vcpus\n");
}

TEST_CASE("a firmware that may want signatures is a loss, a kernel beside a firmware too") {
  const std::string feature = "<feature enabled='no' name='secure-boot'/>";
  CHECK(said(exported(replaced(corpus("uefi.xml"), feature, "")).losses) == "/domain/os/firmware\n");
  CHECK(said(exported(replaced(corpus("uefi.xml"), "<boot dev='hd'/>",
                               "<boot dev='hd'/><loader readonly='yes' "
                               "type='pflash'>/x</loader>"))
                 .losses) == "");
  CHECK(said(exported(replaced(corpus("uefi.xml"), "<boot dev='hd'/>",
                               "<loader readonly='yes' secure='yes' "
                               "type='pflash'>/x</loader>"))
                 .losses) == "/domain/os/loader/@secure\n");
  CHECK(said(exported(replaced(corpus("uefi.xml"), "<boot dev='hd'/>", "<kernel>/k</kernel>")).losses) ==
        "/domain/os/@firmware\n");
}

TEST_CASE("bytes that are no domain are refused") {
  const auto code = [](const std::string& xml) {
    const auto out = from_libvirt_xml(xml, kHost);
    return out ? Code::ok : out.error().code;
  };
  CHECK(code("") == Code::invalid_argument);
  CHECK(code("<network/>") == Code::invalid_argument);
  CHECK(code("<domain><name>x</name></domain>") == Code::invalid_argument);
  CHECK(code("<!DOCTYPE domain [<!ENTITY a 'b'>]>" + corpus("full.xml")) == Code::denied);
  CHECK(code(std::string(kMaximumDomainXml + 1, ' ')) == Code::invalid_argument);
  CHECK(code(corpus("full.xml").substr(0, 900)) == Code::invalid_argument);
  CHECK(code(replaced(corpus("full.xml"), "<uuid>5f", "<uuid>zz")) == Code::invalid_argument);
}

TEST_CASE("losses without end are refused") {
  std::string many;
  for (int i = 0; i < 100'000; ++i) many += "<a/>";
  const auto out = from_libvirt_xml(replaced(corpus("full.xml"), "<devices>", "<devices>" + many), kHost);
  REQUIRE_FALSE(out);
  CHECK(out.error().code == Code::limit_exceeded);
}
