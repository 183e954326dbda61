#include <algorithm>
#include <catch2/catch.hpp>

#include "definitions.hpp"
#include "domain_xml.hpp"

using namespace vmsec;
using namespace vmsec::kvm;
using namespace vmsec::kvm::test;

namespace {

std::vector<std::string> places(const Translation& translation) {
  std::vector<std::string> places;
  for (const auto& loss : translation.losses) places.push_back(loss.place);
  return places;
}

}  // namespace

TEST_CASE("a definition that KVM can say is translated without losses, the same each time") {
  const Translation translation = to_libvirt_xml(full_definition(), kHost);
  CHECK(translation.format == "libvirt-xml");
  CHECK(translation.losses.empty());
  CHECK(translation.text == to_libvirt_xml(full_definition(), kHost).text);
}

TEST_CASE("the XML is what the plugin's other reader reads: disks, NICs, TPM, tags, and memory that can be mapped") {
  const auto read = parse_domain_xml(to_libvirt_xml(full_definition(), kHost).text);
  REQUIRE(read);
  CHECK(read->name == "web-1");
  CHECK(read->machine == "q35");
  CHECK(read->memory_source == "memfd");
  CHECK(read->memory_shared);
  CHECK(read->tpm);
  REQUIRE(read->disks.size() == 2);
  CHECK(read->disks[1].target == "vdb");
  CHECK(read->disks[1].source == "/dev/vg/data");
  REQUIRE(read->nics.size() == 2);
  CHECK(read->tags == std::vector<std::string>{"web", "dmz"});
}

TEST_CASE("a path and a command line cannot leave their element") {
  const std::string text = to_libvirt_xml(full_definition(), kHost).text;
  CHECK(text.contains("<kernel>/srv/k &amp; &lt;k&gt;</kernel>"));
  CHECK(text.contains("]]&gt; &amp;amp; e</cmdline>"));
  DomainDefinition d = least_definition(Firmware::none);
  d.disks[0].source = "/x'/><hostdev a=\"&";
  const std::string disk = to_libvirt_xml(d, kHost).text;
  CHECK_FALSE(disk.contains("<hostdev"));
  CHECK(from_libvirt_xml(disk, kHost)->definition.disks == d.disks);
}

TEST_CASE("the domain's type is the host's") {
  const DomainHost kvm{"kvm", "x86_64", "/usr/bin/kvm"};
  CHECK(to_libvirt_xml(full_definition(), kvm).text.contains("<domain type=\"kvm\">"));
  CHECK(to_libvirt_xml(full_definition(), kHost).text.contains("<domain type=\"qemu\">"));
}

TEST_CASE("what KVM cannot say is a loss, and its place") {
  DomainDefinition d = full_definition();
  d.guest = GuestKind::pv;
  CHECK(places(to_libvirt_xml(d, kHost)) == std::vector<std::string>{"guest"});
  d.guest = GuestKind::pvh;
  std::ranges::reverse(d.disks);
  d.nics[0].bridge = "br+0";
  const Translation translation = to_libvirt_xml(d, kHost);
  CHECK(places(translation) == std::vector<std::string>{"guest", "disk.order", "nic.0.bridge"});
  CHECK_FALSE(translation.text.contains("br+0"));
}

TEST_CASE("a NIC that is connected to nothing has no carrier") {
  DomainDefinition d = least_definition(Firmware::none);
  d.nics = {{"52:54:00:aa:bb:cc", ""}};
  CHECK(to_libvirt_xml(d, kHost).text.contains("<link state=\"down\"/>"));
}

TEST_CASE("UEFI is asked for without secure boot, which no definition wants") {
  const std::string text = to_libvirt_xml(least_definition(Firmware::uefi), kHost).text;
  CHECK(text.contains("<os firmware=\"efi\">"));
  CHECK(text.contains("<feature enabled=\"no\" name=\"secure-boot\"/>"));
}
