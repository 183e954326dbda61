#include "domain_policy_rules.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace vmsec::kvm {

namespace {

// One line: path, attributes, text. An attribute is NAME (a token), NAME=A|B
// (one of these), or NAME@KIND. Text is "-" for none, or @KIND, or @opaque.
//
// Before a line is added: does the value make QEMU or libvirt open, create, run
// or listen on something of this host? Then it needs a kind of its own.
struct Line {
  std::string_view path;
  std::string_view attributes;
  std::string_view text = "-";
};

constexpr std::array kDomainLines = {
    Line{"domain", "type=qemu|kvm"},
    Line{"domain/name", "", "@name"},
    Line{"domain/uuid", "", "@uuid"},
    Line{"domain/title", "", "@any"},
    Line{"domain/description", "", "@any"},
    Line{"domain/metadata", "", "@opaque"},
    Line{"domain/genid", "", "@token"},
    Line{"domain/maxMemory", "slots unit", "@token"},
    Line{"domain/memory", "unit dumpCore=on|off", "@token"},
    Line{"domain/currentMemory", "unit", "@token"},
    Line{"domain/vcpu", "placement=static|auto cpuset current", "@token"},
    Line{"domain/vcpus", ""},
    Line{"domain/vcpus/vcpu", "id enabled hotpluggable order"},
    Line{"domain/iothreads", "", "@token"},
    Line{"domain/resource", ""},
    Line{"domain/resource/partition", "", "@partition"},
    // Without coredump-*: a guest that crashes at will would fill this host's disk.
    Line{"domain/on_poweroff", "", "@action"},
    Line{"domain/on_reboot", "", "@action"},
    Line{"domain/on_crash", "", "@action"},
    Line{"domain/on_lockfailure", "", "@action"},
    Line{"domain/pm", ""},
    Line{"domain/pm/suspend-to-mem", "enabled"},
    Line{"domain/pm/suspend-to-disk", "enabled"},
    // A memory backing of type "file" lies in a folder of the host: not here.
    Line{"domain/memoryBacking", ""},
    Line{"domain/memoryBacking/hugepages", ""},
    Line{"domain/memoryBacking/hugepages/page", "size unit nodeset"},
    Line{"domain/memoryBacking/nosharepages", ""},
    Line{"domain/memoryBacking/locked", ""},
    Line{"domain/memoryBacking/source", "type=anonymous|memfd"},
    Line{"domain/memoryBacking/access", "mode=shared|private"},
    Line{"domain/memoryBacking/allocation", "mode threads"},
    Line{"domain/memoryBacking/discard", ""},
    Line{"domain/memtune", ""},
    Line{"domain/memtune/hard_limit", "unit", "@token"},
    Line{"domain/memtune/soft_limit", "unit", "@token"},
    Line{"domain/memtune/min_guarantee", "unit", "@token"},
    Line{"domain/memtune/swap_hard_limit", "unit", "@token"},
    Line{"domain/numatune", ""},
    Line{"domain/numatune/memory", "mode nodeset placement"},
    Line{"domain/numatune/memnode", "cellid mode nodeset"},
    Line{"domain/blkiotune", ""},
    Line{"domain/blkiotune/weight", "", "@token"},
    Line{"domain/cputune", ""},
    Line{"domain/cputune/shares", "", "@token"},
    Line{"domain/cputune/period", "", "@token"},
    Line{"domain/cputune/quota", "", "@token"},
    Line{"domain/cputune/global_period", "", "@token"},
    Line{"domain/cputune/global_quota", "", "@token"},
    Line{"domain/cputune/emulator_period", "", "@token"},
    Line{"domain/cputune/emulator_quota", "", "@token"},
    Line{"domain/cputune/iothread_period", "", "@token"},
    Line{"domain/cputune/iothread_quota", "", "@token"},
    Line{"domain/cputune/vcpupin", "vcpu cpuset"},
    Line{"domain/cputune/emulatorpin", "cpuset"},
    Line{"domain/cputune/iothreadpin", "iothread cpuset"},
    // Boot.
    Line{"domain/os", "firmware=efi|bios"},
    Line{"domain/os/type", "arch machine", "@token"},
    Line{"domain/os/loader", "readonly=yes secure=yes|no type=rom|pflash stateless=yes|no format=raw", "@firmware"},
    Line{"domain/os/nvram", "template@firmware format=raw templateFormat=raw", "@nvram"},
    Line{"domain/os/firmware", ""},
    Line{"domain/os/firmware/feature", "enabled name"},
    Line{"domain/os/kernel", "", "@kernel"},
    Line{"domain/os/initrd", "", "@kernel"},
    Line{"domain/os/cmdline", "", "@any"},
    Line{"domain/os/boot", "dev"},
    Line{"domain/os/bootmenu", "enable timeout"},
    Line{"domain/os/bios", "useserial rebootTimeout"},
    Line{"domain/os/smbios", "mode=emulate|sysinfo"},
    Line{"domain/sysinfo[smbios]", "type"},
    Line{"domain/sysinfo[smbios]/bios", ""},
    Line{"domain/sysinfo[smbios]/bios/entry", "name", "@any"},
    Line{"domain/sysinfo[smbios]/system", ""},
    Line{"domain/sysinfo[smbios]/system/entry", "name", "@any"},
    Line{"domain/sysinfo[smbios]/baseBoard", ""},
    Line{"domain/sysinfo[smbios]/baseBoard/entry", "name", "@any"},
    Line{"domain/sysinfo[smbios]/chassis", ""},
    Line{"domain/sysinfo[smbios]/chassis/entry", "name", "@any"},
    Line{"domain/sysinfo[smbios]/oemStrings", ""},
    Line{"domain/sysinfo[smbios]/oemStrings/entry", "", "@any"},
    // What the guest sees of processor and clock.
    Line{"domain/features", ""},
    Line{"domain/features/acpi", ""},
    Line{"domain/features/apic", "eoi"},
    Line{"domain/features/pae", ""},
    Line{"domain/features/hap", "state"},
    Line{"domain/features/pmu", "state"},
    Line{"domain/features/vmport", "state"},
    Line{"domain/features/vmcoreinfo", "state"},
    Line{"domain/features/pvspinlock", "state"},
    Line{"domain/features/smm", "state"},
    Line{"domain/features/smm/tseg", "unit", "@token"},
    Line{"domain/features/ioapic", "driver"},
    Line{"domain/features/kvm", ""},
    Line{"domain/features/kvm/hidden", "state"},
    Line{"domain/features/kvm/hint-dedicated", "state"},
    Line{"domain/features/kvm/poll-control", "state"},
    Line{"domain/features/hyperv", "mode"},
    Line{"domain/features/hyperv/relaxed", "state"},
    Line{"domain/features/hyperv/vapic", "state"},
    Line{"domain/features/hyperv/spinlocks", "state retries"},
    Line{"domain/features/hyperv/vpindex", "state"},
    Line{"domain/features/hyperv/runtime", "state"},
    Line{"domain/features/hyperv/synic", "state"},
    Line{"domain/features/hyperv/stimer", "state"},
    Line{"domain/features/hyperv/reset", "state"},
    Line{"domain/features/hyperv/frequencies", "state"},
    Line{"domain/features/hyperv/tlbflush", "state"},
    Line{"domain/features/hyperv/ipi", "state"},
    Line{"domain/features/hyperv/reenlightenment", "state"},
    Line{"domain/cpu", "mode match check migratable"},
    Line{"domain/cpu/model", "fallback vendor_id", "@token"},
    Line{"domain/cpu/vendor", "", "@token"},
    Line{"domain/cpu/topology", "sockets dies cores threads"},
    Line{"domain/cpu/cache", "level mode"},
    Line{"domain/cpu/maxphysaddr", "mode bits limit"},
    Line{"domain/cpu/feature", "policy name"},
    Line{"domain/cpu/numa", ""},
    Line{"domain/cpu/numa/cell", "id cpus memory unit memAccess discard"},
    Line{"domain/cpu/numa/cell/distances", ""},
    Line{"domain/cpu/numa/cell/distances/sibling", "id value"},
    Line{"domain/clock", "offset adjustment basis timezone start"},
    Line{"domain/clock/timer", "name track tickpolicy present frequency mode"},
    Line{"domain/clock/timer/catchup", "threshold slew limit"},
    // A label that each host draws for itself; one that a peer chose is not here.
    Line{"domain/seclabel[dynamic]", "type model=selinux|apparmor|dac relabel=yes"},
    Line{"domain/seclabel[dynamic]/label", "", "@token"},
    Line{"domain/seclabel[dynamic]/imagelabel", "", "@token"},
};

constexpr std::string_view kDiskDriver =
    "name=qemu type=raw|qcow2 cache io discard detect_zeroes error_policy rerror_policy ioeventfd event_idx "
    "copy_on_read iothread queues queue_size iommu ats packed discard_no_unref";
constexpr std::string_view kNicDriver =
    "name=qemu|vhost txmode ioeventfd event_idx queues rx_queue_size tx_queue_size iommu ats packed rss "
    "rss_hash_report";

constexpr std::array kDeviceLines = {
    Line{"domain/devices", ""},
    Line{"domain/devices/emulator", "", "@emulator"},
    // Disks: files, and block devices by their path.
    Line{"DISK", "type device=disk|cdrom|floppy model snapshot"},
    Line{"DISK/driver", kDiskDriver},
    Line{"DISK/source", "file@disk dev@device index startupPolicy"},
    Line{"DISK/backingStore", "index"},
    Line{"DISK/backingStore[file]", "type index"},
    Line{"DISK/backingStore[file]/format", "type=raw|qcow2"},
    Line{"DISK/backingStore[file]/source", "file@disk index"},
    Line{"DISK/backingStore[file]/backingStore", "index"},
    Line{"DISK/target", "dev bus tray removable rotation_rate"},
    Line{"DISK/iotune", ""},
    Line{"DISK/iotune/total_bytes_sec", "", "@token"},
    Line{"DISK/iotune/read_bytes_sec", "", "@token"},
    Line{"DISK/iotune/write_bytes_sec", "", "@token"},
    Line{"DISK/iotune/total_iops_sec", "", "@token"},
    Line{"DISK/iotune/read_iops_sec", "", "@token"},
    Line{"DISK/iotune/write_iops_sec", "", "@token"},
    Line{"DISK/iotune/total_bytes_sec_max", "", "@token"},
    Line{"DISK/iotune/read_bytes_sec_max", "", "@token"},
    Line{"DISK/iotune/write_bytes_sec_max", "", "@token"},
    Line{"DISK/iotune/total_iops_sec_max", "", "@token"},
    Line{"DISK/iotune/read_iops_sec_max", "", "@token"},
    Line{"DISK/iotune/write_iops_sec_max", "", "@token"},
    Line{"DISK/iotune/size_iops_sec", "", "@token"},
    Line{"DISK/iotune/group_name", "", "@token"},
    Line{"DISK/iotune/total_bytes_sec_max_length", "", "@token"},
    Line{"DISK/iotune/read_bytes_sec_max_length", "", "@token"},
    Line{"DISK/iotune/write_bytes_sec_max_length", "", "@token"},
    Line{"DISK/iotune/total_iops_sec_max_length", "", "@token"},
    Line{"DISK/iotune/read_iops_sec_max_length", "", "@token"},
    Line{"DISK/iotune/write_iops_sec_max_length", "", "@token"},
    Line{"DISK/blockio", "logical_block_size physical_block_size discard_granularity"},
    Line{"DISK/geometry", "cyls heads secs trans"},
    Line{"DISK/readonly", ""},
    Line{"DISK/shareable", ""},
    Line{"DISK/serial", "", "@any"},
    Line{"DISK/wwn", "", "@token"},
    Line{"DISK/vendor", "", "@any"},
    Line{"DISK/product", "", "@any"},
    // Network cards. No script, no user-mode network (it speaks as the host).
    Line{"NIC", "type managed"},
    Line{"NIC/mac", "address type check"},
    Line{"NIC/source", "bridge@bridge network@network"},
    Line{"NIC/target", "dev@tap managed"},
    Line{"NIC/model", "type"},
    Line{"NIC/driver", kNicDriver},
    Line{"NIC/driver/host", "csum gso tso4 tso6 ecn ufo mrg_rxbuf"},
    Line{"NIC/driver/guest", "csum tso4 tso6 ecn ufo"},
    Line{"NIC/link", "state"},
    Line{"NIC/mtu", "size"},
    Line{"NIC/rom", "bar enabled"},
    Line{"NIC/port", "isolated"},
    Line{"NIC/bandwidth", ""},
    Line{"NIC/bandwidth/inbound", "average peak burst floor"},
    Line{"NIC/bandwidth/outbound", "average peak burst"},
    // Character devices: a file under the policy's roots, or a pty that libvirt opens.
    Line{"CHAR", "type"},
    Line{"CHAR/target", "type port"},
    Line{"CHAR/target/model", "name"},
    Line{"domain/devices/serial[file]/source", "path@file append"},
    Line{"domain/devices/console[file]/source", "path@file append"},
    Line{"domain/devices/parallel[file]/source", "path@file append"},
    // A channel's socket lies where libvirt puts it.
    Line{"domain/devices/channel[unix]", "type"},
    Line{"domain/devices/channel[unix]/target", "type=virtio name"},
    Line{"domain/devices/controller", "type index model ports vectors"},
    Line{"domain/devices/controller/master", "startport"},
    Line{"domain/devices/controller/model", "name"},
    Line{"domain/devices/controller/target", "chassis chassisNr port busNr hotplug index"},
    Line{"domain/devices/controller/driver", "queues cmd_per_lun max_sectors ioeventfd iothread iommu ats packed"},
    Line{"domain/devices/input", "type=mouse|tablet|keyboard bus model"},
    Line{"domain/devices/input/driver", "iommu ats packed"},
    Line{"domain/devices/hub", "type"},
    // Its state comes in the migration's stream. Not an encryption's secret, which this host's libvirt would look up.
    Line{"domain/devices/tpm", "model=tpm-crb|tpm-tis"},
    Line{"domain/devices/tpm/backend[emulator]", "type version=1.2|2.0 persistent_state=yes|no"},
    Line{"domain/devices/tpm/backend[emulator]/active_pcr_banks", ""},
    Line{"domain/devices/tpm/backend[emulator]/active_pcr_banks/sha1", ""},
    Line{"domain/devices/tpm/backend[emulator]/active_pcr_banks/sha256", ""},
    Line{"domain/devices/tpm/backend[emulator]/active_pcr_banks/sha384", ""},
    Line{"domain/devices/tpm/backend[emulator]/active_pcr_banks/sha512", ""},
    Line{"domain/devices/graphics[vnc]",
         "type port autoport listen@listen keymap sharePolicy passwd@any passwdValidTo connected"},
    Line{"domain/devices/graphics[vnc]/listen[address]", "type address@listen"},
    Line{"domain/devices/graphics[vnc]/listen[none]", "type"},
    Line{"domain/devices/audio[none]", "id type"},
    Line{"domain/devices/sound", "model"},
    Line{"domain/devices/sound/codec", "type"},
    Line{"domain/devices/sound/audio", "id"},
    Line{"domain/devices/video", ""},
    // Not "vhostuser": that one is a program of this host.
    Line{"domain/devices/video/driver", "name=qemu iommu ats packed"},
    Line{"domain/devices/video/model", "type vram vram64 ram vgamem heads primary blob"},
    Line{"domain/devices/video/model/acceleration", "accel2d accel3d=no"},
    Line{"domain/devices/video/model/resolution", "x y"},
    // Not "dump": it writes the guest's memory to this host's disk, as often as the guest likes.
    Line{"domain/devices/watchdog", "model action=reset|shutdown|poweroff|pause|none|inject-nmi"},
    Line{"domain/devices/memballoon", "model autodeflate freePageReporting"},
    Line{"domain/devices/memballoon/stats", "period"},
    Line{"domain/devices/memballoon/driver", "iommu ats packed"},
    Line{"domain/devices/rng", "model"},
    Line{"domain/devices/rng/rate", "bytes period"},
    Line{"domain/devices/rng/backend[random]", "model", "@random"},
    Line{"domain/devices/rng/driver", "iommu ats packed"},
    Line{"domain/devices/panic", "model"},
    Line{"domain/devices/iommu", "model"},
    Line{"domain/devices/iommu/driver", "intremap caching_mode eim iotlb aw_bits"},
};

constexpr std::array kCookieLines = {
    Line{"qemu-migration", ""},
    Line{"qemu-migration/name", "", "@name"},
    Line{"qemu-migration/uuid", "", "@uuid"},
    Line{"qemu-migration/hostname", "", "@token"},
    Line{"qemu-migration/hostuuid", "", "@token"},
    Line{"qemu-migration/feature", "name"},
    Line{"qemu-migration/graphics[vnc]", "type port listen tlsPort"},
    Line{"qemu-migration/capabilities", ""},
    Line{"qemu-migration/capabilities/cap", "name auto"},
    Line{"qemu-migration/statistics", ""},
    // Without a port: what carries the disks is a socket of ours.
    Line{"qemu-migration/nbd", ""},
    Line{"qemu-migration/nbd/disk", "target capacity"},
};

// Elements that any device may have.
constexpr std::array kCommonLines = {
    Line{"boot", "order loadparm"},
    Line{"alias", "name"},
    Line{"acpi", "index"},
    Line{"address[pci]", "type domain bus slot function multifunction"},
    Line{"address[drive]", "type controller bus target unit"},
    Line{"address[virtio-serial]", "type controller bus port"},
    Line{"address[ccid]", "type controller slot"},
    Line{"address[usb]", "type bus port"},
    Line{"address[isa]", "type iobase irq"},
    Line{"address[virtio-mmio]", "type"},
};

constexpr std::array<std::pair<std::string_view, ValueKind>, 19> kKinds = {{
    {"none", ValueKind::none},
    {"token", ValueKind::token},
    {"any", ValueKind::any},
    {"action", ValueKind::action},
    {"emulator", ValueKind::emulator},
    {"disk", ValueKind::disk},
    {"device", ValueKind::device},
    {"kernel", ValueKind::kernel},
    {"firmware", ValueKind::firmware},
    {"nvram", ValueKind::nvram},
    {"file", ValueKind::file},
    {"bridge", ValueKind::bridge},
    {"network", ValueKind::network},
    {"tap", ValueKind::tap},
    {"listen", ValueKind::listen},
    {"random", ValueKind::random},
    {"partition", ValueKind::partition},
    {"uuid", ValueKind::uuid},
    {"name", ValueKind::name},
}};

ValueKind kind_of(std::string_view word) {
  const auto* found = std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& kind) { return kind.first == word; });
  return found == kKinds.end() ? ValueKind::none : found->second;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (end > 0) words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

AttributeRule attribute_rule(std::string_view word) {
  AttributeRule rule;
  const std::size_t mark = word.find_first_of("=@");
  rule.name = word.substr(0, mark);
  if (mark == std::string_view::npos) return rule;
  if (word[mark] == '@')
    rule.kind = kind_of(word.substr(mark + 1));
  else
    rule.values = split(word.substr(mark + 1), '|');
  return rule;
}

ElementRule element_rule(const Line& line) {
  ElementRule rule;
  for (const std::string_view word : split(line.attributes, ' ')) rule.attributes.push_back(attribute_rule(word));
  if (line.text == "@opaque")
    rule.opaque = true;
  else if (line.text != "-")
    rule.text = kind_of(line.text.substr(1));
  return rule;
}

using Rules = std::map<std::string, ElementRule, std::less<>>;

// "DISK/..." stands for each kind of disk, and so on.
void add(Rules& rules, const Line& line) {
  static const std::map<std::string_view, std::vector<std::string_view>> kGroups = {
      {"DISK", {"disk[file]", "disk[block]"}},
      {"NIC", {"interface[bridge]", "interface[network]", "interface[ethernet]"}},
      {"CHAR", {"serial[file]", "serial[pty]", "console[file]", "console[pty]", "parallel[file]", "serial[null]"}},
  };
  const std::size_t slash = std::min(line.path.find('/'), line.path.size());
  const auto group = kGroups.find(line.path.substr(0, slash));
  if (group == kGroups.end()) {
    rules.emplace(line.path, element_rule(line));
    return;
  }
  for (const std::string_view member : group->second)
    rules.emplace("domain/devices/" + std::string(member) + std::string(line.path.substr(slash)), element_rule(line));
}

const Rules& rules() {
  static const Rules kRules = [] {
    Rules made;
    for (const Line& line : kDomainLines) add(made, line);
    for (const Line& line : kDeviceLines) add(made, line);
    for (const Line& line : kCookieLines) add(made, line);
    return made;
  }();
  return kRules;
}

const Rules& common_rules() {
  static const Rules kRules = [] {
    Rules made;
    for (const Line& line : kCommonLines) made.emplace(line.path, element_rule(line));
    return made;
  }();
  return kRules;
}

constexpr std::string_view kDevices = "domain/devices/";
constexpr std::string_view kStatistics = "qemu-migration/statistics/";

}  // namespace

bool is_typed(std::string_view element) {
  static constexpr std::array<std::string_view, 17> kTyped = {
      "disk",     "interface", "serial", "console", "parallel", "channel",      "graphics", "listen", "backend",
      "seclabel", "sysinfo",   "audio",  "address", "hostdev",  "backingStore", "redirdev", "shmem"};
  return std::find(kTyped.begin(), kTyped.end(), element) != kTyped.end();
}

const ElementRule* find_rule(std::string_view path) {
  const auto found = rules().find(path);
  if (found != rules().end()) return &found->second;
  static const ElementRule kNumber{{}, ValueKind::token, false};
  if (path.starts_with(kStatistics) && path.find('/', kStatistics.size()) == std::string_view::npos) return &kNumber;
  // domain/devices/<device>/<common element>
  if (!path.starts_with(kDevices)) return nullptr;
  const std::size_t slash = path.find('/', kDevices.size());
  if (slash == std::string_view::npos || !find_rule(path.substr(0, slash))) return nullptr;
  const auto common = common_rules().find(path.substr(slash + 1));
  return common == common_rules().end() ? nullptr : &common->second;
}

}  // namespace vmsec::kvm
