#include "domain_images.hpp"

#include <filesystem>

#include "image_header.hpp"
#include "policy_xml.hpp"

namespace vmsec::kvm {

namespace {

constexpr std::size_t kImageLimit = 256;

std::unexpected<Error> denied(const DomainImage& image, const std::string& cause) {
  return fail(Code::denied, image.place + ": " + shown(image.path) + ": " + cause);
}

std::string attribute_of(const xmlNode* node, std::string_view element, const char* name) {
  const xmlNode* found = child(node, element);
  return found == nullptr ? std::string() : attribute(found, name);
}

// A disk, or a link of its chain: where it lies, and as what it is opened.
DomainImage image_of(const xmlNode* node, const std::string& place) {
  const bool is_device = attribute(node, "type") == "block";
  DomainImage image;
  image.place = place;
  image.use = is_device ? PathUse::device : PathUse::data;
  image.path = attribute_of(node, "source", is_device ? "dev" : "file");
  image.format = attribute_of(node, view(node->name) == "disk" ? "driver" : "format", "type");
  return image;
}

Status add_chain(const xmlNode* disk, std::vector<DomainImage>& images) {
  std::string place = "domain/devices/disk";
  for (const xmlNode* link = disk; link != nullptr;) {
    DomainImage image = image_of(link, place);
    const xmlNode* next = child(link, "backingStore");
    // A drive without a medium has nothing below it; every link of a chain has a path.
    const bool has_link = next != nullptr && !attribute(next, "type").empty();
    if (image.path.empty() && link == disk && !has_link) return {};
    if (image.path.empty()) return denied(image, "names no file");
    if (next == nullptr) return denied(image, "has no backingStore: what is below it would be looked up here");
    if (has_link) image.backing = attribute_of(next, "source", "file");
    if (images.size() == kImageLimit) return denied(image, "more than " + std::to_string(kImageLimit) + " images");
    images.push_back(std::move(image));
    place += "/backingStore";
    link = has_link ? next : nullptr;
  }
  return {};
}

// How QEMU and libvirt read a name that is no absolute path.
std::string below_folder_of(const std::string& image, const std::string& name) {
  return name.starts_with("/") ? name : (std::filesystem::path(image).parent_path() / name).lexically_normal().native();
}

Status check_qcow2(const DomainImage& image, const Fd& file) {
  const auto named = qcow2_backing(file);
  if (!named) return denied(image, named.error().message);
  if (named->empty()) return {};
  if (!image.backing) return denied(image, "its header names the backing file " + shown(*named) + ", the XML none");
  // "nbd:...", "json:{...}" and the like.
  if (named->find(':') != std::string::npos)
    return denied(image, "its header names " + shown(*named) + ", which is no plain path");
  if (below_folder_of(image.path, *named) == *image.backing) return {};
  return denied(image, "its header names the backing file " + shown(*named) + ", the XML " + shown(*image.backing));
}

Status check_image(const IncomingPolicy& policy, const DomainImage& image) {
  const auto file = common::open_for_check(image.path, policy.disk_roots, image.use);
  if (!file) return denied(image, file.error().message);
  // As raw, QEMU reads nothing of it but the guest's bytes.
  if (image.format == "raw" && !image.backing) return {};
  if (image.format == "raw") return denied(image, "is raw, and has a backing file");
  if (image.format == "qcow2") return check_qcow2(image, *file);
  return denied(image, "is of format " + shown(image.format) + ", which cannot be checked");
}

}  // namespace

Result<std::vector<DomainImage>> images_of(std::string_view xml) {
  VMSEC_TRY(const DocumentPtr document, parse_policy_xml(xml, "domain"));
  std::vector<DomainImage> images;
  const xmlNode* root = xmlDocGetRootElement(document.get());
  for (const xmlNode* devices = root == nullptr ? nullptr : root->children; devices != nullptr;
       devices = devices->next) {
    if (devices->type != XML_ELEMENT_NODE || view(devices->name) != "devices") continue;
    for (const xmlNode* disk = devices->children; disk != nullptr; disk = disk->next)
      if (disk->type == XML_ELEMENT_NODE && view(disk->name) == "disk") VMSEC_CHECK(add_chain(disk, images));
  }
  return images;
}

Status check_images(const IncomingPolicy& policy, const ExpectedDomain& expected, std::string_view xml) {
  const auto images = images_of(xml);
  if (!images) return fail(images.error().in("incoming domain " + expected.name));
  for (const DomainImage& image : *images)
    if (const Status checked = check_image(policy, image); !checked)
      return fail(checked.error().in("incoming domain " + expected.name));
  return {};
}

}  // namespace vmsec::kvm
