#include "throttle/wanted.hpp"

#include <algorithm>

#include "vmsec/section.hpp"

namespace vmsec::throttle {

namespace {

constexpr std::uint32_t kLongestBurst = 3600;

struct DiskKey {
  std::string_view name;
  Limit DiskWanted::* member;
  const units::Kind& kind;
};
constexpr DiskKey kDiskKeys[] = {{"read", &DiskWanted::read, units::kRate},
                                 {"write", &DiskWanted::write, units::kRate},
                                 {"read_ops", &DiskWanted::read_ops, units::kOps},
                                 {"write_ops", &DiskWanted::write_ops, units::kOps},
                                 {"read_burst", &DiskWanted::read_burst, units::kRate},
                                 {"write_burst", &DiskWanted::write_burst, units::kRate}};

Status read_disk(const Setting& setting, std::string_view key, DiskWanted& disk) {
  if (key == "burst_seconds") {
    VMSEC_TRY(disk.burst_seconds, integer_of(setting, 1, kLongestBurst));
    return {};
  }
  const auto found = std::ranges::find(kDiskKeys, key, &DiskKey::name);
  if (found == std::end(kDiskKeys))
    return unknown_key("read, write, read_ops, write_ops, read_burst, write_burst or burst_seconds of a disk");
  VMSEC_TRY(disk.*(found->member), limit_of(setting, found->kind));
  return {};
}

Status read_nic(const Setting& setting, std::string_view key, NicWanted& nic) {
  if (key != "receive" && key != "transmit") return unknown_key("receive or transmit of a NIC");
  VMSEC_TRY((key == "receive" ? nic.receive : nic.transmit), limit_of(setting, units::kRate));
  return {};
}

Status read_one(const Setting& setting, const SettingPath& path, Wanted& wanted) {
  if (path.size() != 3 || path[1].empty() || (path[0] != "disk" && path[0] != "nic"))
    return unknown_key("disk.<device>.<limit> or nic.<device>.<limit>");
  if (path[0] == "disk") return read_disk(setting, path[2], wanted.disks[path[1]]);
  return read_nic(setting, path[2], wanted.nics[path[1]]);
}

// The place of a key that was read: where to point when keys do not fit together.
const Setting* find_setting(const Settings& section, const std::string& device, std::string_view key) {
  const std::string path = setting_path::child(setting_path::child("disk", device), key);
  const auto found = std::ranges::find(section.settings, path, &Setting::path);
  return found == section.settings.end() ? nullptr : &*found;
}

// A burst only means something above a rate, for some seconds.
void check_burst(const Settings& section, const std::string& device, std::string_view direction, Limit rate,
                 Limit burst, std::optional<std::uint32_t> seconds, Findings& findings) {
  if (!burst || *burst == 0) return;
  const Setting* at = find_setting(section, device, std::string(direction) + "_burst");
  if (at == nullptr) return;
  const auto add = [&](const std::string& message) {
    findings.findings.push_back({at->line, at->column, at->path + ": " + message});
  };
  if (!rate || *rate == 0) return add("a burst needs a rate to exceed: want " + std::string(direction) + " beside it");
  if (*burst <= *rate) return add("the burst is not above the rate, " + to_text(BytesPerSecond{*rate}));
  if (!seconds) add("a burst needs its length: want burst_seconds beside it");
}

void check_disk(const Settings& section, const std::string& device, const DiskWanted& disk, Findings& findings) {
  check_burst(section, device, "read", disk.read, disk.read_burst, disk.burst_seconds, findings);
  check_burst(section, device, "write", disk.write, disk.write_burst, disk.burst_seconds, findings);
  const bool bursts = disk.read_burst.value_or(0) != 0 || disk.write_burst.value_or(0) != 0;
  const Setting* seconds = find_setting(section, device, "burst_seconds");
  if (disk.burst_seconds && !bursts && seconds != nullptr)
    findings.findings.push_back({seconds->line, seconds->column,
                                 seconds->path + ": there is no burst: want read_burst or write_burst beside it"});
}

}  // namespace

Findings read(const Settings& section, Wanted& wanted) {
  Findings findings = read_section(
      section, [&](const Setting& setting, const SettingPath& path) { return read_one(setting, path, wanted); });
  // Keys that could not be read would only give a second finding each.
  if (!findings.findings.empty()) return findings;
  for (auto& [device, disk] : wanted.disks) {
    check_disk(section, device, disk, findings);
    if (disk.read && !disk.read_burst) disk.read_burst = 0;
    if (disk.write && !disk.write_burst) disk.write_burst = 0;
  }
  return findings;
}

}  // namespace vmsec::throttle
