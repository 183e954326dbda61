#include <algorithm>
#include <nlohmann/json.hpp>

#include "libxl_json.hpp"

#include "units.hpp"

namespace vmsec::xen {
namespace {

using nlohmann::json;

constexpr std::size_t kPvCommandLine = 1023;  // Xen's start_info.cmd_line
constexpr char kLastEmulated = 'd';           // an HVM guest's first four disks are IDE disks too

class Writer {
 public:
  explicit Writer(const DomainDefinition& definition) : from_(definition) {}

  Translation write() {
    json document = {{"c_info", create_info()}, {"b_info", build_info()}};
    if (json disks = all_disks(); !disks.empty()) document["disks"] = std::move(disks);
    if (json nics = all_nics(); !nics.empty()) document["nics"] = std::move(nics);
    add_boot(document["b_info"]);
    if (from_.tpm) lose("tpm", "Xen 4.17 has a virtual TPM only in a stub domain, and no TPM 2.0");
    if (!from_.tags.empty()) lose("tags", "libxl keeps no tags of a domain");
    return {std::string(kJsonFormat), document.dump(2), std::move(losses_)};
  }

 private:
  void lose(std::string place, std::string reason) { losses_.push_back({std::move(place), std::move(reason)}); }

  [[nodiscard]] bool hvm() const { return from_.guest == GuestKind::hvm; }

  [[nodiscard]] std::string type() const {
    if (hvm()) return "hvm";
    return from_.guest == GuestKind::pv ? "pv" : "pvh";
  }

  [[nodiscard]] json create_info() const {
    return {{"type", type()}, {"name", from_.name}, {"uuid", from_.domain.text()}};
  }

  [[nodiscard]] json build_info() const {
    json online = json::array();
    for (std::uint32_t i = 0; i < from_.vcpus; ++i) online.push_back(i);
    const std::uint64_t memory = from_.memory.value / common::kKibibyte;
    return {{"max_vcpus", from_.vcpus_maximum},
            {"avail_vcpus", std::move(online)},
            {"max_memkb", memory},
            {"target_memkb", memory},
            {"type." + type(), hvm() ? machine() : json::object()}};
  }

  // No display, no network boot: libxl would give it both.
  [[nodiscard]] json machine() const {
    json out = {{"nographic", "True"},
                {"vga", {{"kind", "none"}}},
                {"vnc", {{"enable", "False"}}},
                {"serial", "pty"},
                {"boot", "c"}};
    if (from_.boot.firmware == Firmware::bios) out["bios"] = "seabios";
    if (from_.boot.firmware == Firmware::uefi) out["bios"] = "ovmf";
    return out;
  }

  // What cannot be had as it is meant is left out: never read as raw, never made writable.
  json all_disks() {
    json out = json::array();
    for (const DefinedDisk& disk : from_.disks)
      if (const std::string why = flaw_of(disk); why.empty())
        out.push_back(disk_of(disk));
      else
        lose("disk." + disk.target, why);
    return out;
  }

  [[nodiscard]] std::string flaw_of(const DefinedDisk& disk) const {
    if (disk.format != DiskFormat::raw)
      return "the kernel's blkback reads raw only; a disk that QEMU serves under Xen can be neither limited nor moved";
    if (hvm() && disk.read_only && disk.target.back() <= kLastEmulated)
      return "an HVM guest's disks vda to vdd are IDE disks too, and QEMU has none that is read-only";
    if (hvm() && disk.source.contains(',')) return "libxl hands the path to QEMU in a list that commas separate";
    return {};
  }

  static json disk_of(const DefinedDisk& disk) {
    return {{"pdev_path", disk.source},
            {"vdev", "xvd" + disk.target.substr(2)},
            {"format", "raw"},
            {"readwrite", disk.read_only ? 0 : 1}};
  }

  [[nodiscard]] json all_nics() const {
    json out = json::array();
    for (const DefinedNic& nic : from_.nics) {
      json each = {{"devid", out.size()}, {"mac", nic.mac}, {"bridge", nic.bridge}, {"nictype", "vif"}};
      // vif-bridge would take the first bridge that it finds.
      if (nic.bridge.empty()) each["script"] = "/bin/true";
      out.push_back(std::move(each));
    }
    return out;
  }

  void add_boot(json& build) {
    const Boot& boot = from_.boot;
    if (boot.kernel.empty()) {
      if (!hvm())
        lose("boot.firmware",
             "a " + type() + " guest has no firmware under Debian's Xen: give boot.kernel, or guest hvm");
      return;
    }
    build["kernel"] = boot.kernel;
    if (!boot.initrd.empty()) build["ramdisk"] = boot.initrd;
    if (boot.command_line.empty()) return;
    if (from_.guest == GuestKind::pv && boot.command_line.size() > kPvCommandLine)
      return lose("boot.command_line",
                  "Xen cuts a PV guest's off after " + std::to_string(kPvCommandLine) + " characters");
    build["cmdline"] = boot.command_line;
  }

  const DomainDefinition& from_;
  std::vector<Loss> losses_;
};

}  // namespace

Translation to_libxl_json(const DomainDefinition& definition) { return Writer(definition).write(); }

}  // namespace vmsec::xen
