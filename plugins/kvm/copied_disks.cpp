#include "copied_disks.hpp"

#include <algorithm>

#include "host_path.hpp"
#include "policy_xml.hpp"

namespace vmsec::kvm {

namespace {

constexpr std::size_t kDiskLimit = 32;
constexpr std::uint64_t kSector = 512;
constexpr std::uint64_t kCapacityLimit = std::uint64_t{1} << 50;

struct Disk {
  const xmlNode* node = nullptr;
  std::string target;
  std::string source;  // empty: a drive without a medium
};

std::string attribute_of(const xmlNode* node, std::string_view element, const char* name) {
  const xmlNode* found = child(node, element);
  return found == nullptr ? std::string() : attribute(found, name);
}

Disk disk_of(const xmlNode* node) {
  Disk disk{node, attribute_of(node, "target", "dev"), attribute_of(node, "source", "file")};
  if (attribute(node, "type") == "file") return disk;
  for (const char* kind : {"dev", "name", "volume", "dir"})
    if (disk.source.empty()) disk.source = attribute_of(node, "source", kind);
  return disk;
}

std::vector<Disk> disks_of(const xmlDoc* document) {
  std::vector<Disk> disks;
  const xmlNode* root = xmlDocGetRootElement(document);
  // libvirt reads those below each <devices>.
  for (const xmlNode* devices = root == nullptr ? nullptr : root->children; devices != nullptr;
       devices = devices->next) {
    if (devices->type != XML_ELEMENT_NODE || view(devices->name) != "devices") continue;
    for (const xmlNode* node = devices->children; node != nullptr; node = node->next)
      if (node->type == XML_ELEMENT_NODE && view(node->name) == "disk") disks.push_back(disk_of(node));
  }
  return disks;
}

// What no copy is made of; empty: one is.
std::string why_it_stays(const Disk& disk) {
  const std::string device = attribute(disk.node, "device");
  if (!device.empty() && device != "disk") return "removable";
  if (child(disk.node, "readonly") != nullptr) return "read-only";
  if (child(disk.node, "shareable") != nullptr) return "shareable";
  if (attribute(disk.node, "type") != "file") return "no file";
  return {};
}

Result<CopiedDisk> copied_disk(const Disk& disk, Bytes capacity) {
  const std::string what = "copy disk " + shown(disk.target) + ": ";
  if (const std::string stays = why_it_stays(disk); !stays.empty() || disk.source.empty())
    return fail(Code::invalid_argument, what + "it is " + (stays.empty() ? "without a medium" : stays));
  CopiedDisk copied{disk.target, disk.source, attribute_of(disk.node, "driver", "type"), capacity};
  if (copied.format != "raw" && copied.format != "qcow2")
    return fail(Code::unsupported, what + "its format is " + shown(copied.format) + "; raw and qcow2 are copied");
  // A copy holds all that the guest sees: over the same backing file it would be another image than the XML's.
  if (!attribute_of(disk.node, "backingStore", "type").empty())
    return fail(Code::unsupported, what + "it has a backing file; images that stand alone are copied");
  if (!common::is_plain_path(copied.path) || copied.path.find_first_of("\n\r") != std::string::npos)
    return fail(Code::invalid_argument, what + shown(copied.path) + " is not a plain absolute path");
  if (capacity.value == 0 || capacity.value % kSector != 0 || capacity.value > kCapacityLimit)
    return fail(Code::invalid_argument, what + std::to_string(capacity.value) + " bytes are no disk's size");
  return copied;
}

}  // namespace

Result<std::vector<DescribedDisk>> disks_to_copy(std::string_view xml, const std::vector<std::string>& shared_roots) {
  VMSEC_TRY(const DocumentPtr document, parse_policy_xml(xml, "domain"));
  std::vector<DescribedDisk> described;
  for (const Disk& disk : disks_of(document.get())) {
    if (disk.source.empty()) continue;
    DescribedDisk one{disk.target, {}, why_it_stays(disk)};
    if (one.stays.empty() && common::lies_below(disk.source, shared_roots)) one.stays = "on shared storage";
    described.push_back(std::move(one));
  }
  return described;
}

Result<std::vector<CopiedDisk>> copied_disks(std::string_view xml, const std::vector<DescribedDisk>& described) {
  VMSEC_TRY(const DocumentPtr document, parse_policy_xml(xml, "domain"));
  const std::vector<Disk> disks = disks_of(document.get());
  std::vector<CopiedDisk> copied;
  for (const DescribedDisk& wanted : described) {
    if (!wanted.stays.empty()) continue;
    const auto found = std::ranges::find(disks, wanted.target, &Disk::target);
    if (found == disks.end() || wanted.target.empty())
      return fail(Code::invalid_argument, "copy disk " + shown(wanted.target) + ": the domain has none of this name");
    VMSEC_TRY(CopiedDisk one, copied_disk(*found, wanted.capacity));
    for (const CopiedDisk& other : copied)
      if (other.target == one.target || other.path == one.path)
        return fail(Code::invalid_argument, "copy disk " + shown(one.target) + ": it is named twice");
    if (copied.size() == kDiskLimit)
      return fail(Code::limit_exceeded, "copy disks: more than " + std::to_string(kDiskLimit));
    copied.push_back(std::move(one));
  }
  return copied;
}

}  // namespace vmsec::kvm
