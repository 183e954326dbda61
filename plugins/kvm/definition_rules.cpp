#include "definition_rules.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace vmsec::kvm {
namespace {

// One line: path, attributes, text, flags. An attribute is NAME, or NAME=A|B (one of these).
//
// Before a line is added: could somebody have set it, and would a domain that is defined anew have another
// value? Then it is a loss, and belongs nowhere here.
struct Line {
  std::string_view path;
  std::string_view attributes;
  std::string_view text = "";
  std::string_view flags = "";
};

constexpr std::array kLines = {
    Line{"domain", "type=kvm|qemu id"},
    Line{"domain/name", "", "*"},
    Line{"domain/uuid", "", "*"},
    Line{"domain/metadata", ""},
    Line{"domain/memory", "unit=KiB", "*"},
    Line{"domain/currentMemory", "unit=KiB", "*"},
    Line{"domain/memoryBacking", "", "", "whole"},
    Line{"domain/memoryBacking/source", "type=memfd"},
    Line{"domain/memoryBacking/access", "mode=shared"},
    Line{"domain/vcpu", "placement=static current", "*"},
    Line{"domain/vcpus", "", "", "whole"},
    Line{"domain/vcpus/vcpu", "id enabled hotpluggable order", "", "many"},
    Line{"domain/resource", "", "", "whole"},
    Line{"domain/resource/partition", "", "/machine"},
    Line{"domain/os", "firmware=efi"},
    Line{"domain/os/type", "arch machine", "hvm"},
    Line{"domain/os/kernel", "", "*"},
    Line{"domain/os/initrd", "", "*"},
    Line{"domain/os/cmdline", "", "*"},
    Line{"domain/os/boot", "dev=hd"},
    Line{"domain/features", ""},
    Line{"domain/features/acpi", ""},
    Line{"domain/features/apic", ""},
    Line{"domain/cpu", "mode=custom match=exact check=none", "", "whole"},
    Line{"domain/cpu/model", "fallback=forbid", "qemu64"},
    Line{"domain/clock", "offset=utc", "", "whole"},
    Line{"domain/on_poweroff", "", "destroy"},
    Line{"domain/on_reboot", "", "restart"},
    Line{"domain/on_crash", "", "destroy"},
    Line{"domain/devices", ""},
    Line{"domain/devices/emulator", "", "*"},
    Line{"domain/devices/disk", "type=file|block device=disk", "", "many"},
    Line{"domain/devices/disk/driver", "name=qemu type=raw|qcow2"},
    Line{"domain/devices/disk/source", "file dev index"},
    // The end of the chain, which libvirt found. A chain that is written down is a loss.
    Line{"domain/devices/disk/backingStore", ""},
    Line{"domain/devices/disk/target", "dev bus=virtio"},
    Line{"domain/devices/disk/readonly", ""},
    Line{"domain/devices/interface", "type=bridge|ethernet", "", "many"},
    Line{"domain/devices/interface/mac", "address"},
    Line{"domain/devices/interface/source", "bridge"},
    Line{"domain/devices/interface/target", "dev"},
    Line{"domain/devices/interface/model", "type=virtio"},
    Line{"domain/devices/interface/link", "state"},
    Line{"domain/devices/serial", "type=pty", "", "whole"},
    Line{"domain/devices/serial/source", "path"},
    Line{"domain/devices/serial/target", "type=isa-serial port=0"},
    Line{"domain/devices/serial/target/model", "name=isa-serial"},
    Line{"domain/devices/console", "type=pty tty", "", "whole"},
    Line{"domain/devices/console/source", "path"},
    Line{"domain/devices/console/target", "type=serial port=0"},
    Line{"domain/devices/tpm", "model=tpm-crb", "", "whole"},
    Line{"domain/devices/tpm/backend", "type=emulator version=2.0"},
    Line{"domain/devices/controller[usb]", "type index=0 model=qemu-xhci", "", "whole"},
    Line{"domain/devices/controller[sata]", "type index=0", "", "whole"},
    Line{"domain/devices/controller[pci]", "type index model=pcie-root|pcie-root-port", "", "many whole"},
    Line{"domain/devices/controller[pci]/model", "name=pcie-root-port"},
    Line{"domain/devices/controller[pci]/target", "chassis port"},
    Line{"domain/devices/input[mouse]", "type bus=ps2", "", "whole"},
    Line{"domain/devices/input[keyboard]", "type bus=ps2", "", "whole"},
    Line{"domain/devices/audio", "id=1 type=none", "", "whole"},
    Line{"domain/devices/memballoon", "model=virtio", "", "whole"},
    // A label that the host draws for itself.
    Line{"domain/seclabel[dynamic]", "type model relabel=yes", "", "many whole"},
    Line{"domain/seclabel[dynamic]/label", "", "*"},
    Line{"domain/seclabel[dynamic]/imagelabel", "", "*"},
};

// With os/@firmware=efi libvirt chooses these: when the domain starts, or from 9.2 on when it is defined.
constexpr std::array kChosenFirmware = {
    Line{"efi/os/firmware", ""},
    Line{"efi/os/firmware/feature", "enabled=no name=secure-boot|enrolled-keys", "", "many"},
    Line{"efi/os/loader", "readonly=yes secure=no type=pflash format=raw|qcow2", "*"},
    Line{"efi/os/nvram", "template templateFormat=raw|qcow2 format=raw|qcow2", "*"},
};

// Elements that any device may have.
constexpr std::array kOfDevices = {
    Line{"alias", "name"},
    Line{"address[pci]", "type domain bus slot function multifunction"},
};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

PlainElement element_of(const Line& line) {
  PlainElement element;
  for (const std::string_view word : split(line.attributes, ' ')) {
    const std::size_t mark = std::min(word.find('='), word.size());
    element.attributes.push_back({word.substr(0, mark), split(word.substr(std::min(mark + 1, word.size())), '|')});
  }
  element.text = line.text;
  element.many = line.flags.contains("many");
  element.whole = line.flags.contains("whole");
  return element;
}

using Rules = std::map<std::string_view, PlainElement>;

template <class... Tables>
Rules made_of(const Tables&... tables) {
  Rules rules;
  const auto add = [&](const auto& table) {
    for (const Line& line : table) rules.emplace(line.path, element_of(line));
  };
  (add(tables), ...);
  return rules;
}

const PlainElement* found_in(const Rules& rules, std::string_view path) {
  const auto found = rules.find(path);
  return found == rules.end() ? nullptr : &found->second;
}

}  // namespace

bool is_plain_typed(std::string_view element) {
  static constexpr std::array<std::string_view, 4> kTyped = {"controller", "input", "address", "seclabel"};
  return std::ranges::find(kTyped, element) != kTyped.end();
}

const PlainElement* find_plain(std::string_view path) {
  static const Rules kRules = made_of(kLines, kChosenFirmware);
  static const Rules kDeviceRules = made_of(kOfDevices);
  if (const PlainElement* found = found_in(kRules, path)) return found;
  // domain/devices/<device>/<common element>
  static constexpr std::string_view kDevices = "domain/devices/";
  if (!path.starts_with(kDevices)) return nullptr;
  const std::size_t slash = path.find('/', kDevices.size());
  if (slash == std::string_view::npos || found_in(kRules, path.substr(0, slash)) == nullptr) return nullptr;
  return found_in(kDeviceRules, path.substr(slash + 1));
}

const std::vector<std::string_view>& always_there() {
  static const std::vector<std::string_view> kPaths = {"domain/features/acpi", "domain/features/apic",
                                                       "domain/devices/serial", "domain/devices/console",
                                                       "domain/devices/memballoon"};
  return kPaths;
}

}  // namespace vmsec::kvm
