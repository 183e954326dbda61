// Images that firmware or shim has started, and partition tables.
#include <algorithm>
#include <array>

#include "describe_event.hpp"
#include "efi.hpp"

namespace vmsec::boot {
namespace {

constexpr std::uint32_t kBootPcr = 4;

std::string lower(std::string text) {
  for (auto& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

bool has_any(const std::string& text, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view word) { return text.find(word) != std::string::npos; });
}

// By its name, as distributions call them.
Part part_of(const std::string& file) {
  const std::string path = lower(file);
  const std::string name = path.substr(path.find_last_of("\\/") + 1);
  if (has_any(path, {"\\efi\\linux\\"}) || has_any(name, {"vmlinuz", "vmlinux", "bzimage"}) || name == "kernel" ||
      name.starts_with("linux"))
    return Part::kernel;
  if (has_any(name, {"shim", "grub", "systemd-boot", "sd-boot", "bootmgfw", "refind", "mokmanager", "fallback"}) ||
      name.starts_with("boot") || name.starts_with("mm") || name.starts_with("fb"))
    return Part::boot_loader;
  return Part::other;
}

// Without a path only what stands before it tells: behind GRUB's `linux` comes the kernel that shim is
// asked about, behind the first image the loader that shim has read itself.
Part part_without_path(const GrubWords& grub, std::uint32_t images) {
  if (grub.kernel_due) return Part::kernel;
  return images == 1 ? Part::boot_loader : Part::other;
}

std::string image_text(const efi::ImageLoad& load) {
  const std::string size = in_bytes(load.bytes);
  if (!load.path || load.path->text.empty())
    return (load.bytes == 0 ? "an image" : "an image of " + size + ",") + std::string(" told without a path");
  if (load.path->file.empty()) return "an image of " + size + " of " + load.path->text;
  if (load.path->device.empty()) return load.path->file + ", " + size;
  return load.path->file + ", " + size + ", of " + load.path->device;
}

}  // namespace

void describe_image(const Event& event, const GrubWords& grub, std::uint32_t& images, Description& description) {
  const auto load = efi::read_image_load(event.data);
  if (!load) {
    description.text = "an image, told in " + in_bytes(event.data.size());
    description.remarks.push_back("its image load event is malformed");
    return;
  }
  description.text = image_text(*load);
  if (load->path && !load->path->whole) description.remarks.push_back("its device path is malformed");
  if (event.pcr != kBootPcr || (load->path && load->path->in_firmware)) {
    description.part = Part::firmware;
    return;
  }
  description.part =
      load->path && !load->path->file.empty() ? part_of(load->path->file) : part_without_path(grub, images);
  ++images;
}

void describe_gpt(const Event& event, Description& description) {
  description.part = Part::partition_table;
  const auto table = efi::read_partition_table(event.data);
  if (!table) {
    description.text = "a partition table of " + in_bytes(event.data.size());
    description.remarks.push_back("its partition table is malformed");
    return;
  }
  const std::size_t count = table->partitions.size();
  description.text = "disk " + table->disk + ", " + std::to_string(count) + (count == 1 ? " partition" : " partitions");
  std::string names;
  for (const auto& name : table->partitions)
    if (!name.empty()) names += (names.empty() ? "" : ", ") + name;
  if (!names.empty()) description.text += ": " + names;
}

}  // namespace vmsec::boot
