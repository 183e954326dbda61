// What shim, GRUB, systemd-boot, systemd-stub, the kernel's stub and Windows measure.
#include <algorithm>
#include <array>

#include "describe_event.hpp"
#include "efi.hpp"

namespace vmsec::boot {
namespace {

constexpr std::size_t kMaxInitrds = 16;
constexpr std::uint32_t kLegacyBootPcr = 4;
constexpr std::uint32_t kLegacyPartitionPcr = 5;
constexpr std::uint32_t kGrubFilesPcr = 9;
constexpr std::uint32_t kUnifiedImagePcr = 11;
constexpr std::uint32_t kSystemExtensionPcr = 13;
constexpr std::uint32_t kShimPcr = 14;

std::string_view first_line(std::string_view data) { return data.substr(0, data.find('\0')); }

// (hd0,gpt1)/boot/vmlinuz: without the device, which GRUB's commands may leave out.
std::string_view without_device(std::string_view path) {
  if (!path.starts_with('(')) return path;
  const auto end = path.find(')');
  return end == std::string_view::npos ? path : path.substr(end + 1);
}

std::vector<std::string> split_words(std::string_view line) {
  std::vector<std::string> words;
  while (words.size() <= kMaxInitrds) {
    const auto begin = line.find_first_not_of(' ');
    if (begin == std::string_view::npos) break;
    line.remove_prefix(begin);
    const auto end = std::min(line.find(' '), line.size());
    words.emplace_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return words;
}

bool is_command(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, word) != words.end();
}

void note_command(std::string_view command, GrubWords& grub) {
  const auto words = split_words(command);
  grub.kernel_due = words.size() > 1 && is_command(words[0], {"linux", "linuxefi", "linux16"});
  if (words.size() < 2) return;
  if (grub.kernel_due) grub.kernel = without_device(words[1]);
  if (!is_command(words[0], {"initrd", "initrdefi", "initrd16"})) return;
  grub.initrds.clear();
  for (std::size_t i = 1; i < words.size(); ++i) grub.initrds.emplace_back(without_device(words[i]));
}

struct Prefix {
  std::string_view words;
  Part part;
  std::string_view text;
};

// GRUB's words before what it hashes, of its own and of Red Hat's older versions.
constexpr std::array kGrubPrefixes{
    Prefix{"grub_cmd: ", Part::boot_loader_setting, "GRUB command: "},
    Prefix{"grub_cmd ", Part::boot_loader_setting, "GRUB command: "},
    Prefix{"kernel_cmdline: ", Part::command_line, "kernel command line: "},
    Prefix{"grub_kernel_cmdline ", Part::command_line, "kernel command line: "},
    Prefix{"module_cmdline: ", Part::command_line, "module command line: "},
};

// The digest is of the words alone, by some versions with what ends them.
bool is_digest_of_words(const Event& event, std::string_view words) {
  return is_digest_of(event, words) || is_digest_of(event, std::string(words) + '\0') ||
         is_digest_of(event, event.data) || is_digest_of(event, first_line(event.data));
}

bool describe_grub_words(const Event& event, GrubWords& grub, Description& description) {
  const auto line = first_line(event.data);
  for (const auto& prefix : kGrubPrefixes) {
    if (!line.starts_with(prefix.words)) continue;
    const auto words = line.substr(prefix.words.size());
    description.part = prefix.part;
    description.text = std::string(prefix.text) + std::string(words);
    if (prefix.part == Part::boot_loader_setting) note_command(words, grub);
    if (!is_digest_of_words(event, words))
      description.remarks.push_back("its digest is not that of the words shown here");
    return true;
  }
  return false;
}

Part part_of_file(std::string_view file, const GrubWords& grub) {
  const auto path = without_device(file);
  if (!grub.kernel.empty() && path == grub.kernel) return Part::kernel;
  if (std::ranges::find(grub.initrds, path) != grub.initrds.end()) return Part::initrd;
  const auto name = path.substr(path.find_last_of('/') + 1);
  if (name.starts_with("vmlinuz") || name.starts_with("vmlinux") || name.starts_with("bzImage")) return Part::kernel;
  if (name.starts_with("initrd") || name.starts_with("initramfs")) return Part::initrd;
  if (name.ends_with(".mod") || name.ends_with(".efi")) return Part::boot_loader;
  return Part::boot_loader_setting;
}

void describe_grub_file(const Event& event, const GrubWords& grub, Description& description) {
  const auto file = first_line(event.data);
  // Red Hat's GRUB names what it loads, not from where.
  if (file.ends_with("Kernel") || file.ends_with("Initrd")) {
    description.part = file.ends_with("Kernel") ? Part::kernel : Part::initrd;
    description.text = "loaded by GRUB: " + std::string(file);
    return;
  }
  description.part = part_of_file(file, grub);
  description.text = "file " + std::string(file);
}

void describe_shim(const Event& event, Description& description) {
  const auto name = first_line(event.data);
  description.part = Part::other;
  if (name == "MokSBState") description.part = Part::secure_boot;
  if (name.starts_with("MokList") || name == "SbatLevel") description.part = Part::signature_list;
  description.text = "shim's " + std::string(name);
}

// A section of a unified kernel image: systemd-stub measures its name, and then what is in it.
void describe_section(const Event& event, const std::string& name, Description& description) {
  const bool is_name = is_digest_of(event, name + '\0');
  description.part = Part::other;
  if (name == ".linux") description.part = Part::kernel;
  if (name == ".initrd" || name == ".ucode") description.part = Part::initrd;
  if (name == ".cmdline") description.part = Part::command_line;
  description.text = "unified kernel image, section " + name + (is_name ? ": its name" : "");
}

// systemd-boot and systemd-stub tell in UTF-16.
void describe_systemd(const Event& event, Description& description) {
  const std::string text = efi::utf16_text(event.data);
  if (event.pcr == kUnifiedImagePcr && text.starts_with('.')) return describe_section(event, text, description);
  if (event.pcr == kSystemExtensionPcr || text.ends_with(" initrd")) {
    description.part = Part::initrd;
    description.text = text;
    return;
  }
  description.part = event.pcr == kUnifiedImagePcr ? Part::other : Part::command_line;
  description.text = (description.part == Part::other ? "" : "command line: ") + text;
  // Some versions leave out half of the zero at its end.
  if (description.part == Part::command_line && !is_digest_of(event, event.data) &&
      !is_digest_of(event, std::string(event.data) + '\0'))
    description.remarks.push_back("its digest is not that of the words shown here");
}

struct Tag {
  std::uint32_t id;
  Part part;
  std::string_view text;
};

constexpr std::array kTags{
    Tag{0x8f3b22ec, Part::initrd, "initrd, by the kernel's stub"},
    Tag{0x8f3b22ed, Part::command_line, "command line, by the kernel's stub"},
    Tag{0xf5bc582a, Part::boot_loader_setting, "systemd-boot's loader.conf"},
    Tag{0x6c46f751, Part::other, "systemd-stub: device tree"},
    Tag{0x49dffe0f, Part::initrd, "systemd-stub: initrd"},
    Tag{0xdac08e1a, Part::initrd, "systemd-stub: microcode"},
    Tag{0x13aed6db, Part::other, "systemd-stub: profile"},
    Tag{0xd5cb7cbc, Part::firmware_setting, "systemd-stub: SMBIOS type 1"},
    Tag{0xe0d47bc8, Part::firmware_setting, "systemd-stub: SMBIOS type 2"},
    Tag{0xc0b3bd23, Part::firmware_setting, "systemd-stub: SMBIOS type 11"},
    Tag{0x40010001, Part::other, "Windows: trust boundary"},
    Tag{0x40010002, Part::other, "Windows: early launch anti-malware"},
    Tag{0x40010003, Part::other, "Windows: module"},
    Tag{0x40010004, Part::other, "Windows: trust point"},
};

// Groups of its kind, and single ones by their class.
bool is_windows(std::uint32_t tag) {
  const std::uint32_t kind = tag >> 16;
  return kind == 0x4001 || kind == 0xc001 || (kind >= 1 && kind <= 0x10);
}

// Windows' events hold tagged ones of their own; one of them may name a file.
std::string windows_file(std::string_view content) {
  constexpr std::uint32_t kFilePath = 0x00070001;
  constexpr std::uint32_t kModule = 0x40010003;
  ByteReader reader(content);
  while (true) {
    const auto tag = reader.little<std::uint32_t>();
    const auto size = reader.little<std::uint32_t>();
    if (!tag || !size) return {};
    if (*tag == kModule) continue;  // what it holds stands right behind its head
    const auto data = reader.take(*size);
    if (!data) return {};
    if (*tag == kFilePath) return efi::utf16_text(*data);
  }
}

// "Linux initrd", "LOADED_IMAGE::LoadOptions", a file's name in UTF-16.
std::string tag_words(std::uint32_t tag, std::string_view content) {
  if (is_windows(tag)) return windows_file(content);
  if (efi::is_utf16(content)) return efi::utf16_text(content);
  return printable(first_line(content));
}

}  // namespace

void describe_ipl(const Event& event, GrubWords& grub, Description& description) {
  description.part = Part::boot_loader_setting;
  if (describe_grub_words(event, grub, description)) return;
  if (event.pcr == kLegacyBootPcr || event.pcr == kLegacyPartitionPcr) {
    description.part = event.pcr == kLegacyBootPcr ? Part::boot_loader : Part::partition_table;
    description.text = "started from " + printable(first_line(event.data));
    return;
  }
  if (efi::is_utf16(event.data)) return describe_systemd(event, description);
  if (event.pcr == kShimPcr) return describe_shim(event, description);
  if (event.pcr == kGrubFilesPcr) return describe_grub_file(event, grub, description);
  description.part = Part::other;
  description.text = printable(first_line(event.data));
}

void describe_tag(const Event& event, Description& description) {
  ByteReader reader(event.data);
  const auto id = reader.little<std::uint32_t>();
  const auto size = reader.little<std::uint32_t>();
  if (!id || !size || *size != reader.left()) {
    description.text = "a tagged event of " + in_bytes(event.data.size());
    description.remarks.push_back("its tagged event is malformed");
    return;
  }
  const auto* known = std::ranges::find(kTags, *id, &Tag::id);
  const std::string words = tag_words(*id, reader.rest());
  description.text = "tag 0x" + to_hex(big_endian(*id));
  if (known != kTags.end()) {
    description.part = known->part;
    description.text = known->text;
  } else if (is_windows(*id)) {
    description.text = "Windows: " + description.text;
  } else {
    description.remarks.push_back("its tag is not known");
  }
  if (!words.empty()) description.text += ": " + words;
}

}  // namespace vmsec::boot
