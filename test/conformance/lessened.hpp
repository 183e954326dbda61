// A definition without what a hypervisor loses of it.
#pragma once

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>

#include "vmsec/definition.hpp"

namespace vmsec::conformance {

namespace lessened_detail {

inline void take_kernel(Boot& boot) {
  boot.kernel.clear();
  boot.initrd.clear();
  boot.command_line.clear();
}

// "disk.vda", "disk.vda.format". False: there is no such place.
inline bool take_disk(DomainDefinition& definition, std::string_view target, std::string_view part) {
  const auto disk = std::ranges::find(definition.disks, target, &DefinedDisk::target);
  if (disk == definition.disks.end()) return false;
  if (part.empty()) {
    definition.disks.erase(disk);
    return true;
  }
  if (part == "format") disk->format = DiskFormat::raw;
  if (part == "read_only") disk->read_only = false;
  return part == "format" || part == "read_only";
}

// "nic.0", "nic.0.bridge".
inline bool take_nic(DomainDefinition& definition, std::string_view index, std::string_view part) {
  std::size_t at = 0;
  const auto read = std::from_chars(index.data(), index.data() + index.size(), at);
  if (read.ec != std::errc{} || read.ptr != index.data() + index.size() || at >= definition.nics.size()) return false;
  if (part.empty()) definition.nics.erase(definition.nics.begin() + static_cast<std::ptrdiff_t>(at));
  if (part == "bridge") definition.nics[at].bridge.clear();
  return part.empty() || part == "bridge";
}

inline bool take_field(DomainDefinition& definition, const std::string& place) {
  Boot& boot = definition.boot;
  const std::map<std::string, std::function<void()>> fields = {
      {"guest", [&] { definition.guest = GuestKind::usual; }},
      {"vcpus_maximum", [&] { definition.vcpus_maximum = definition.vcpus; }},
      {"tpm", [&] { definition.tpm = false; }},
      {"tags", [&] { definition.tags.clear(); }},
      {"boot", [&] { boot = {}; }},
      {"boot.firmware", [&] { boot.firmware = Firmware::none; }},
      {"boot.kernel", [&] { take_kernel(boot); }},
      {"boot.initrd", [&] { boot.initrd.clear(); }},
      {"boot.command_line", [&] { boot.command_line.clear(); }}};
  const auto found = fields.find(place);
  if (found == fields.end()) return false;
  found->second();
  return true;
}

inline bool take(DomainDefinition& definition, const std::string& place) {
  const std::string_view text = place;
  const auto first = text.find('.');
  const std::string_view head = text.substr(0, first);
  if (first == std::string_view::npos || (head != "disk" && head != "nic")) return take_field(definition, place);
  const std::string_view rest = text.substr(first + 1);
  const auto second = rest.find('.');
  const std::string_view part = second == std::string_view::npos ? std::string_view() : rest.substr(second + 1);
  return head == "disk" ? take_disk(definition, rest.substr(0, second), part)
                        : take_nic(definition, rest.substr(0, second), part);
}

}  // namespace lessened_detail

// `unknown_place` gets a loss that is no place of the definition, or nothing that can be left out.
inline DomainDefinition lessened(DomainDefinition definition, const std::vector<Loss>& losses,
                                 std::string& unknown_place) {
  // From the last: whole NICs leave by their number.
  for (auto loss = losses.rbegin(); loss != losses.rend(); ++loss)
    if (!lessened_detail::take(definition, loss->place)) unknown_place = loss->place;
  return definition;
}

}  // namespace vmsec::conformance
