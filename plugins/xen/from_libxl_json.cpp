#include <algorithm>
#include <nlohmann/json.hpp>

#include "libxl_json.hpp"
#include "libxl_json_parts.hpp"
#include "text.hpp"
#include "units.hpp"
#include "vmsec/definition.hpp"

namespace vmsec::xen {
namespace {

using common::shown;
using nlohmann::json;

Result<std::string> text_at(const json& object, const char* key, const std::string& path) {
  const json& value = member(object, key);
  if (value.is_null()) return std::string();
  if (value.is_string()) return value.get<std::string>();
  return misread(path + "." + key, "a text");
}

Result<std::uint64_t> number_at(const json& object, const char* key, const std::string& path, std::uint64_t otherwise) {
  const json& value = member(object, key);
  if (value.is_null()) return otherwise;
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  return misread(path + "." + key, "a number");
}

class Reader {
 public:
  explicit Reader(const json& document) : document_(document) {}

  Result<ExportedDomain> read() {
    VMSEC_CHECK(read_sizes());
    VMSEC_CHECK(read_disks());
    VMSEC_CHECK(read_nics());
    VMSEC_CHECK(read_boot());
    find_losses(document_, "", "", losses_);
    if (losses_.size() > kLossLimit)
      return fail(Code::limit_exceeded,
                  "libxl-json: more than " + std::to_string(kLossLimit) + " places that a definition cannot say");
    return ExportedDomain{out_, std::move(losses_), std::string(kJsonFormat),
                          document_.dump(2, ' ', false, json::error_handler_t::replace)};
  }

 private:
  void lose(std::string place, std::string reason) { add_loss(losses_, std::move(place), std::move(reason)); }

  // Makes the change where the definition is one with it too; else what is wrong with it.
  template <class Change>
  std::optional<DefinitionFlaw> change(Change make) {
    DomainDefinition next = out_;
    make(next);
    auto flaw = find_flaw(next);
    if (!flaw) out_ = std::move(next);
    return flaw;
  }

  // What each definition has to have.
  Status read_sizes() {
    const json& create = member(document_, "c_info");
    VMSEC_TRY(const std::string type, text_at(create, "type", "c_info"));
    if (type != "pvh" && type != "pv" && type != "hvm") return misread("c_info.type", "pvh, pv or hvm");
    for (const char* other : {"pvh", "pv", "hvm"})
      if (type != other && !member(document_, "b_info").is_null() &&
          member(document_, "b_info").contains("type." + std::string(other)))
        return misread("b_info", "the type of c_info.type");
    if (type != "pvh") out_.guest = type == "pv" ? GuestKind::pv : GuestKind::hvm;
    VMSEC_TRY(out_.name, text_at(create, "name", "c_info"));
    VMSEC_TRY(const std::string uuid, text_at(create, "uuid", "c_info"));
    const auto parsed = Uuid::parse(uuid);
    if (!parsed) return misread("c_info.uuid", "a UUID, not " + shown(uuid));
    out_.domain = *parsed;
    VMSEC_CHECK(read_vcpus());
    VMSEC_CHECK(read_memory());
    const auto flaw = find_flaw(out_);
    if (!flaw) return {};
    return fail(Code::unsupported, "libxl-json: no definition says this domain: " + flaw->place + ": " + flaw->message);
  }

  Status read_vcpus() {
    const json& build = member(document_, "b_info");
    VMSEC_TRY(const std::uint64_t most, number_at(build, "max_vcpus", "b_info", 1));
    out_.vcpus_maximum = static_cast<std::uint32_t>(std::min<std::uint64_t>(most, UINT32_MAX));
    const json& online = member(build, "avail_vcpus");
    if (!is_empty(online) && !online.is_array()) return misread("b_info.avail_vcpus", "a list of vCPUs");
    out_.vcpus = is_empty(online) ? 1 : static_cast<std::uint32_t>(online.size());
    for (std::size_t i = 0; online.is_array() && i < online.size(); ++i)
      if (online[i] != i) {
        lose("b_info.avail_vcpus", "a definition knows how many, and not which");
        break;
      }
    return {};
  }

  Status read_memory() {
    const json& build = member(document_, "b_info");
    VMSEC_TRY(const std::uint64_t most, number_at(build, "max_memkb", "b_info", 0));
    VMSEC_TRY(const std::uint64_t target, number_at(build, "target_memkb", "b_info", most));
    if (target != most) lose("b_info.target_memkb", "a definition has one size of memory: max_memkb");
    const std::uint64_t mebibytes = most / common::kKibibyte + (most % common::kKibibyte == 0 ? 0 : 1);
    if (most % common::kKibibyte != 0) lose("b_info.max_memkb", "is rounded up to whole MiB");
    // More than find_flaw() lets pass, and no number that wraps around.
    out_.memory.value =
        std::min<std::uint64_t>(mebibytes, std::uint64_t{1} << 40) * common::kKibibyte * common::kKibibyte;
    return {};
  }

  Status read_disks() {
    const json& disks = member(document_, "disks");
    if (is_empty(disks)) return {};
    if (!disks.is_array()) return misread("disks", "a list");
    for (std::size_t i = 0; i < disks.size(); ++i) {
      const std::string path = "disks[" + std::to_string(i) + "]";
      VMSEC_TRY(const std::string why, read_disk(disks[i], path));
      if (why.empty())
        find_losses(disks[i], "disks[]", path, losses_);
      else
        lose(path, why);
    }
    return {};
  }

  // Why it is left out; empty where it is not.
  Result<std::string> read_disk(const json& disk, const std::string& path) {
    if (!disk.is_object()) return misread(path, "an object");
    VMSEC_TRY(const std::string vdev, text_at(disk, "vdev", path));
    VMSEC_TRY(const std::string format, text_at(disk, "format", path));
    VMSEC_TRY(const std::uint64_t writable, number_at(disk, "readwrite", path, 0));
    VMSEC_TRY(const std::uint64_t cdrom, number_at(disk, "is_cdrom", path, 0));
    DefinedDisk out;
    VMSEC_TRY(out.source, text_at(disk, "pdev_path", path));
    if (cdrom != 0) return shown(vdev) + " is a CD-ROM, and a definition has none";
    if (!vdev.starts_with("xvd")) return "a definition has no disk of the name " + shown(vdev);
    if (format != "raw" && format != "qcow2")
      return shown(vdev) + " is of the format " + shown(format) + ", and a definition knows raw and qcow2";
    out.target = "vd" + vdev.substr(3);
    out.format = format == "raw" ? DiskFormat::raw : DiskFormat::qcow2;
    out.read_only = writable == 0;
    const auto flaw = change([&](DomainDefinition& next) { next.disks.push_back(out); });
    return flaw ? shown(vdev) + ": " + flaw->message : std::string();
  }

  Status read_nics() {
    const json& nics = member(document_, "nics");
    if (is_empty(nics)) return {};
    if (!nics.is_array()) return misread("nics", "a list");
    for (std::size_t i = 0; i < nics.size(); ++i) {
      const std::string path = "nics[" + std::to_string(i) + "]";
      VMSEC_TRY(const std::string why, read_nic(nics[i], path));
      if (why.empty())
        find_losses(nics[i], "nics[]", path, losses_);
      else
        lose(path, why);
    }
    return {};
  }

  // Why it is left out; empty where it is not.
  Result<std::string> read_nic(const json& nic, const std::string& path) {
    if (!nic.is_object()) return misread(path, "an object");
    DefinedNic out;
    VMSEC_TRY(out.mac, text_at(nic, "mac", path));
    VMSEC_TRY(out.bridge, text_at(nic, "bridge", path));
    VMSEC_TRY(const std::string script, text_at(nic, "script", path));
    VMSEC_TRY(const std::uint64_t number, number_at(nic, "devid", path, out_.nics.size()));
    std::ranges::transform(out.mac, out.mac.begin(), [](char c) { return c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c; });
    const std::uint64_t place = out_.nics.size();
    const bool alone = script == "/bin/true";  // nobody connects it
    const bool unsaid = alone != out.bridge.empty();
    if (alone) out.bridge.clear();
    if (const auto flaw = change([&](DomainDefinition& next) { next.nics.push_back(out); })) return flaw->message;
    if (number != place) lose(path + ".devid", "a definition numbers NICs in their order");
    if (unsaid) lose(path + ".bridge", alone ? "its script connects it to none" : "libxl chooses one by itself");
    if (!alone && !script.empty() && script != "vif-bridge" && script != "/etc/xen/scripts/vif-bridge")
      lose(path + ".script", std::string(kNoWord));
    return std::string();
  }

  Status read_boot() {
    const json& build = member(document_, "b_info");
    VMSEC_TRY(const std::string kernel, text_at(build, "kernel", "b_info"));
    VMSEC_TRY(const std::string ramdisk, text_at(build, "ramdisk", "b_info"));
    VMSEC_TRY(const std::string cmdline, text_at(build, "cmdline", "b_info"));
    carry("b_info.kernel", kernel, &Boot::kernel);
    carry("b_info.ramdisk", ramdisk, &Boot::initrd);
    carry("b_info.cmdline", cmdline, &Boot::command_line);
    VMSEC_TRY(const std::string bios, text_at(member(build, "type.hvm"), "bios", "b_info.type.hvm"));
    if (bios.empty() || bios == "unknown") return {};
    const bool known = out_.guest == GuestKind::hvm && (bios == "seabios" || bios == "ovmf");
    if (!known ||
        change([&](DomainDefinition& next) { next.boot.firmware = bios == "ovmf" ? Firmware::uefi : Firmware::bios; }))
      lose("b_info.type.hvm.bios", std::string(kNoWord));
    return {};
  }

  void carry(const std::string& path, const std::string& value, std::string Boot::* field) {
    if (value.empty()) return;
    if (const auto flaw = change([&](DomainDefinition& next) { next.boot.*field = value; })) lose(path, flaw->message);
  }

  const json& document_;
  DomainDefinition out_;
  std::vector<Loss> losses_;
};

}  // namespace

Result<ExportedDomain> from_libxl_json(const std::string& text) {
  VMSEC_TRY(const json document, parse_json(text));
  return Reader(document).read();
}

}  // namespace vmsec::xen
