#include <algorithm>

#include "definition_xml.hpp"
#include "domain_xml.hpp"
#include "xml_writer.hpp"

namespace vmsec::kvm {
namespace {

void write_metadata(XmlWriter& xml, const DomainDefinition& definition) {
  const bool hvm = definition.guest == GuestKind::hvm;
  const bool bios = definition.boot.firmware == Firmware::bios;
  if (definition.tags.empty() && !hvm && !bios) return;
  const auto metadata = xml.element("metadata");
  if (!definition.tags.empty()) {
    std::string tags;
    for (const auto& tag : definition.tags) tags += (tags.empty() ? "" : " ") + tag;
    auto element = xml.element("vmsec:tags");
    element.with("xmlns:vmsec", std::string(kTagsNamespace)).text(tags);
  }
  if (!hvm && !bios) return;
  auto element = xml.element("vmsec:definition");
  element.with("xmlns:vmsec", std::string(kDefinitionNamespace));
  if (hvm) element.with("guest", "hvm");
  if (bios) element.with("firmware", "bios");
}

void write_size(XmlWriter& xml, const DomainDefinition& definition) {
  xml.element("memory").with("unit", "KiB").text(std::to_string(definition.memory.value / 1024));
  {
    // So that MemoryAccess can map it.
    const auto backing = xml.element("memoryBacking");
    xml.element("source").with("type", "memfd");
    xml.element("access").with("mode", "shared");
  }
  xml.element("vcpu").with("current", std::to_string(definition.vcpus)).text(std::to_string(definition.vcpus_maximum));
}

void write_boot(XmlWriter& xml, const Boot& boot, const DomainHost& host) {
  auto os = xml.element("os");
  if (boot.firmware == Firmware::uefi) os.with("firmware", "efi");
  xml.element("type").with("arch", host.arch).with("machine", std::string(kMachine)).text("hvm");
  if (boot.firmware == Firmware::uefi) {
    // libvirt may choose one that boots only what Microsoft signed; nothing in a definition asks for it.
    const auto firmware = xml.element("firmware");
    xml.element("feature").with("enabled", "no").with("name", "secure-boot");
  }
  if (!boot.kernel.empty()) xml.element("kernel", boot.kernel);
  if (!boot.initrd.empty()) xml.element("initrd", boot.initrd);
  if (!boot.command_line.empty()) xml.element("cmdline", boot.command_line);
}

void write_disk(XmlWriter& xml, const DefinedDisk& disk) {
  const bool device = is_device_path(disk.source);
  auto element = xml.element("disk");
  element.with("type", device ? "block" : "file").with("device", "disk");
  xml.element("driver").with("name", "qemu").with("type", disk.format == DiskFormat::qcow2 ? "qcow2" : "raw");
  xml.element("source").with(device ? "dev" : "file", disk.source);
  xml.element("target").with("dev", disk.target).with("bus", "virtio");
  if (disk.read_only) xml.element("readonly");
}

// libvirt's schema has no such name of a device.
bool is_strange(const std::string& bridge) { return bridge.contains('+'); }

// Connected to nothing: a tap that no bridge has, and no carrier in the guest, or it would reach the host by
// its link's own addresses. (libvirt has a type "null"; the daemon of 9.0 dies of it at the domain's start.)
void write_nic(XmlWriter& xml, const DefinedNic& nic) {
  const bool connected = !nic.bridge.empty() && !is_strange(nic.bridge);
  auto element = xml.element("interface");
  element.with("type", connected ? "bridge" : "ethernet");
  xml.element("mac").with("address", nic.mac);
  if (connected) xml.element("source").with("bridge", nic.bridge);
  xml.element("model").with("type", "virtio");
  if (!connected) xml.element("link").with("state", "down");
}

void write_devices(XmlWriter& xml, const DomainDefinition& definition) {
  const auto devices = xml.element("devices");
  for (const auto& disk : definition.disks) write_disk(xml, disk);
  for (const auto& nic : definition.nics) write_nic(xml, nic);
  xml.element("serial").with("type", "pty");
  if (!definition.tpm) return;
  auto tpm = xml.element("tpm");
  tpm.with("model", "tpm-crb");
  xml.element("backend").with("type", "emulator").with("version", "2.0");
}

std::vector<Loss> losses_of(const DomainDefinition& definition) {
  std::vector<Loss> losses;
  if (definition.guest == GuestKind::pv) losses.push_back({"guest", "KVM knows no paravirtualised guests, only hvm"});
  if (definition.guest == GuestKind::pvh) losses.push_back({"guest", "libvirt has no PVH under KVM, only hvm"});
  if (!std::ranges::is_sorted(definition.disks, {}, &DefinedDisk::target))
    losses.push_back({"disk.order", "libvirt keeps disks in the order of their targets"});
  for (std::size_t i = 0; i < definition.nics.size(); ++i)
    if (is_strange(definition.nics[i].bridge))
      losses.push_back({"nic." + std::to_string(i) + ".bridge", "libvirt takes no bridge with \"+\" in its name"});
  return losses;
}

}  // namespace

bool is_device_path(std::string_view path) { return path.starts_with("/dev/") && !path.starts_with("/dev/shm/"); }

Translation to_libvirt_xml(const DomainDefinition& definition, const DomainHost& host) {
  XmlWriter xml;
  {
    auto domain = xml.element("domain");
    domain.with("type", host.type);
    xml.element("name", definition.name);
    xml.element("uuid", definition.domain.text());
    write_metadata(xml, definition);
    write_size(xml, definition);
    write_boot(xml, definition.boot, host);
    {
      const auto features = xml.element("features");
      xml.element("acpi");
      xml.element("apic");
    }
    write_devices(xml, definition);
  }
  return {std::string(kXmlFormat), xml.take(), losses_of(definition)};
}

}  // namespace vmsec::kvm
