// A DomainDefinition: what makes one valid, and the file that people write it in (docs/interchange.md).
#pragma once

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "vmsec/capability/interchange.hpp"
#include "vmsec/export.hpp"

namespace vmsec {

struct DefinitionFlaw {
  std::string place;  // "disk.vda.source"; "nic.0.mac"; as in Loss
  std::string message;
};

namespace definition_detail {

inline bool only(std::string_view text, std::string_view others) {
  return std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || others.contains(c);
  });
}

inline bool is_name(std::string_view text, std::size_t longest) {
  return !text.empty() && text.size() <= longest && !std::string_view("-.+_").contains(text.front()) &&
         only(text, "._+-");
}

inline bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

// Absolute and plain: what is checked is what is opened.
inline bool is_path(std::string_view text) {
  if (text.size() < 2 || text.size() > 1024 || !text.starts_with('/') || text.ends_with('/')) return false;
  if (text.contains("//") || text.contains("/./") || text.contains("/../")) return false;
  return !text.ends_with("/.") && !text.ends_with("/..") && is_printable(text);
}

inline bool is_target(std::string_view text) {
  return text.size() == 3 && text.starts_with("vd") && text[2] >= 'a' && text[2] <= 'z';
}

inline bool is_mac(std::string_view text) {
  if (text.size() != 17) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (i % 3 == 2 ? text[i] != ':' : !hex) return false;
  }
  return !std::string_view("13579bdf").contains(text[1]);  // of one station, not of a group
}

using Flaw = std::optional<DefinitionFlaw>;

inline Flaw sizes(const DomainDefinition& d) {
  constexpr std::uint64_t kMiB = 1 << 20;
  if (d.domain.is_nil()) return {{"domain", "a UUID is missing"}};
  if (!is_name(d.name, 63)) return {{"name", "want 1 to 63 letters, digits and \"._+-\", the first a letter or digit"}};
  if (d.guest > GuestKind::pvh) return {{"guest", "no such kind"}};
  if (d.vcpus == 0) return {{"vcpus", "want at least 1"}};
  if (d.vcpus_maximum < d.vcpus || d.vcpus_maximum > 128) return {{"vcpus_maximum", "want vcpus to 128"}};
  if (d.memory.value == 0 || d.memory.value % kMiB != 0 || d.memory.value > (kMiB << 24))
    return {{"memory", "want a multiple of 1 MiB, at most 16 TiB"}};
  return {};
}

inline Flaw disks(const DomainDefinition& d) {
  std::set<std::string_view> targets;
  for (const auto& disk : d.disks) {
    if (!is_target(disk.target)) return {{"disk.target", "want \"vda\" to \"vdz\""}};
    if (!targets.insert(disk.target).second) return {{"disk." + disk.target, "stands there twice"}};
    if (!is_path(disk.source)) return {{"disk." + disk.target + ".source", "want an absolute path without \"..\""}};
    if (disk.format > DiskFormat::qcow2) return {{"disk." + disk.target + ".format", "want raw or qcow2"}};
  }
  return {};
}

inline Flaw nics(const DomainDefinition& d) {
  std::set<std::string_view> macs;
  if (d.nics.size() > 16) return {{"nic", "at most 16"}};
  for (std::size_t i = 0; i < d.nics.size(); ++i) {
    const std::string place = "nic." + std::to_string(i);
    const auto& nic = d.nics[i];
    if (!is_mac(nic.mac)) return {{place + ".mac", "want one station's address, as 52:54:00:12:34:56, lower case"}};
    if (!macs.insert(nic.mac).second) return {{place + ".mac", "stands there twice"}};
    if (!nic.bridge.empty() && !is_name(nic.bridge, 15)) return {{place + ".bridge", "want an interface's name"}};
  }
  return {};
}

inline Flaw boot(const Boot& b) {
  if (b.firmware > Firmware::uefi) return {{"boot.firmware", "want bios or uefi"}};
  if (b.kernel.empty()) {
    if (!b.initrd.empty()) return {{"boot.initrd", "is for a kernel, and there is none"}};
    if (!b.command_line.empty()) return {{"boot.command_line", "is for a kernel, and there is none"}};
    return {};
  }
  if (b.firmware != Firmware::none) return {{"boot.firmware", "the hypervisor loads the kernel, or the firmware does"}};
  if (!is_path(b.kernel)) return {{"boot.kernel", "want an absolute path without \"..\""}};
  if (!b.initrd.empty() && !is_path(b.initrd)) return {{"boot.initrd", "want an absolute path without \"..\""}};
  if (b.command_line.size() > 2000 || !is_printable(b.command_line))
    return {{"boot.command_line", "want at most 2000 printable characters"}};
  return {};
}

inline Flaw tags(const DomainDefinition& d) {
  std::set<std::string_view> seen;
  if (d.tags.size() > 64) return {{"tags", "at most 64"}};
  for (const auto& tag : d.tags) {
    if (!is_name(tag, 63)) return {{"tags", "want letters, digits and \"._+-\" in each"}};
    if (!seen.insert(tag).second) return {{"tags", "\"" + tag + "\" stands there twice"}};
  }
  return {};
}

}  // namespace definition_detail

// The first thing wrong with it; none where it is a definition. Looks at no file. Header only: plugins ask it too.
inline std::optional<DefinitionFlaw> find_flaw(const DomainDefinition& definition) {
  using namespace definition_detail;
  if (auto flaw = sizes(definition)) return flaw;
  if (auto flaw = disks(definition)) return flaw;
  if (auto flaw = nics(definition)) return flaw;
  if (auto flaw = boot(definition.boot)) return flaw;
  return tags(definition);
}

// As the file has them.
inline std::string_view to_string(GuestKind kind) {
  constexpr std::string_view kNames[] = {"usual", "hvm", "pv", "pvh"};
  return kind <= GuestKind::pvh ? kNames[static_cast<std::size_t>(kind)] : "unknown";
}

inline std::string_view to_string(Firmware firmware) {
  constexpr std::string_view kNames[] = {"none", "bios", "uefi"};
  return firmware <= Firmware::uefi ? kNames[static_cast<std::size_t>(firmware)] : "unknown";
}

inline std::string_view to_string(DiskFormat format) {
  constexpr std::string_view kNames[] = {"raw", "qcow2"};
  return format <= DiskFormat::qcow2 ? kNames[static_cast<std::size_t>(format)] : "unknown";
}

// A definition's file (TOML). `invalid_argument` with all that is wrong, each with its place: "web-1.toml:3:10: memory:
// ...". The UUID may be missing: it is nil then, and whoever defines the domain draws one.
VMSEC_EXPORT Result<DomainDefinition> parse_definition(std::string_view text, std::string_view file_name);
// parse_definition() of it gives an equal definition, where this is one.
VMSEC_EXPORT std::string write_definition(const DomainDefinition& definition);

}  // namespace vmsec
