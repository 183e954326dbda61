// Device paths: UEFI specification, 10.3, written as its 10.6 does.
#include <array>

#include "bytes.hpp"
#include "efi.hpp"

namespace vmsec::boot::efi {
namespace {

constexpr std::size_t kMaxText = 1024;
constexpr std::uint32_t kPciRoot = 0x0a0341d0;   // PNP0A03
constexpr std::uint32_t kPcieRoot = 0x0a0841d0;  // PNP0A08

std::string hexadecimal(std::uint64_t value) {
  const std::string digits = to_hex(big_endian(value));
  const auto first = digits.find_first_not_of('0');
  return "0x" + (first == std::string::npos ? "0" : digits.substr(first));
}

struct Node {
  std::uint8_t type = 0;
  std::uint8_t kind = 0;
  std::string_view data;
};

constexpr std::uint16_t id(std::uint8_t type, std::uint8_t kind) {
  return static_cast<std::uint16_t>(type << 8 | kind);
}

template <class First, class Second>
std::string pair_of(std::string_view name, std::string_view data) {
  ByteReader reader(data);
  const auto first = reader.little<First>();
  const auto second = reader.little<Second>();
  if (!first || !second) return {};
  return std::string(name) + "(" + hexadecimal(*first) + "," + hexadecimal(*second) + ")";
}

std::string guid_node(std::string_view name, std::string_view data) {
  if (data.size() < kGuidBytes) return {};
  return std::string(name) + "(" + guid_text(data.substr(0, kGuidBytes)) + ")";
}

std::string pci(std::string_view data) {
  if (data.size() != 2) return {};
  return "Pci(" + hexadecimal(static_cast<std::uint8_t>(data[1])) + "," +
         hexadecimal(static_cast<std::uint8_t>(data[0])) + ")";
}

std::string acpi(std::string_view data) {
  ByteReader reader(data);
  const auto hardware = reader.little<std::uint32_t>();
  const auto unit = reader.little<std::uint32_t>();
  if (!hardware || !unit) return {};
  if (*hardware == kPciRoot) return "PciRoot(" + hexadecimal(*unit) + ")";
  if (*hardware == kPcieRoot) return "PcieRoot(" + hexadecimal(*unit) + ")";
  return "Acpi(" + hexadecimal(*hardware) + "," + hexadecimal(*unit) + ")";
}

std::string sata(std::string_view data) {
  ByteReader reader(data);
  const auto port = reader.little<std::uint16_t>();
  const auto multiplier = reader.little<std::uint16_t>();
  const auto unit = reader.little<std::uint16_t>();
  if (!port || !multiplier || !unit) return {};
  return "Sata(" + hexadecimal(*port) + "," + hexadecimal(*multiplier) + "," + hexadecimal(*unit) + ")";
}

// EUI-64: written from its last byte to its first, as UEFI says.
std::string nvme(std::string_view data) {
  ByteReader reader(data);
  const auto space = reader.little<std::uint32_t>();
  const auto eui = reader.take(8);
  if (!space || !eui) return {};
  return "NVMe(" + hexadecimal(*space) + "," + to_hex(std::string(eui->rbegin(), eui->rend())) + ")";
}

std::string hard_drive(std::string_view data) {
  constexpr char kGpt = 2;
  constexpr char kByGuid = 2;
  if (data.size() != 38) return {};
  const auto number = ByteReader(data).little<std::uint32_t>();
  if (!number) return {};
  const auto signature = data.substr(20, kGuidBytes);
  const std::string format = data[36] == kGpt ? "GPT" : "MBR";
  return "HD(" + std::to_string(*number) + "," + format + "," +
         (data[37] == kByGuid ? guid_text(signature) : hexadecimal(*ByteReader(signature).little<std::uint32_t>())) +
         ")";
}

std::string bios_boot(std::string_view data) {
  if (data.size() < 4) return {};
  const auto text = data.substr(4);
  return "BBS(" + printable(text.substr(0, text.find('\0')), 64) + ")";
}

std::string range(std::string_view name, std::string_view data) {
  return pair_of<std::uint64_t, std::uint64_t>(name, data);
}

std::string offset(std::string_view data) { return data.size() < 4 ? std::string() : range("Offset", data.substr(4)); }

// Of an address and what follows only the address is told.
std::string network(std::string_view name, std::string_view data, std::size_t bytes) {
  if (data.size() < bytes) return {};
  return std::string(name) + "(" + to_hex(data.substr(0, bytes)) + ")";
}

// Empty for a node that is not known, or too short for what it is.
std::string known(const Node& node) {
  switch (id(node.type, node.kind)) {
    case id(1, 1):
      return pci(node.data);
    case id(1, 3):
      return offset(node.data).empty() ? std::string() : range("MemoryMapped", node.data.substr(4));
    case id(1, 4):
      return guid_node("VenHw", node.data);
    case id(2, 1):
    case id(2, 2):
      return acpi(node.data);
    case id(3, 1):
      return pair_of<std::uint8_t, std::uint8_t>("Ata", node.data);
    case id(3, 2):
      return pair_of<std::uint16_t, std::uint16_t>("Scsi", node.data);
    case id(3, 5):
      return pair_of<std::uint8_t, std::uint8_t>("USB", node.data);
    case id(3, 10):
      return guid_node("VenMsg", node.data);
    case id(3, 11):
      return network("MAC", node.data, 6);
    case id(3, 12):
      return network("IPv4", node.data, 4);
    case id(3, 13):
      return network("IPv6", node.data, 16);
    case id(3, 18):
      return sata(node.data);
    case id(3, 23):
      return nvme(node.data);
    case id(3, 24):
      return "Uri(" + printable(node.data, 200) + ")";
    case id(4, 1):
      return hard_drive(node.data);
    case id(4, 2):
      return "CDROM";
    case id(4, 3):
      return guid_node("VenMedia", node.data);
    case id(4, 6):
      return guid_node("FvFile", node.data);
    case id(4, 7):
      return guid_node("Fv", node.data);
    case id(4, 8):
      return offset(node.data);
    case id(4, 9):
      return "RamDisk";
    case id(5, 1):
      return bios_boot(node.data);
    default:
      return {};
  }
}

std::string text_of(const Node& node) {
  std::string text = known(node);
  if (!text.empty()) return text;
  return "Path(" + std::to_string(node.type) + "," + std::to_string(node.kind) + "," + to_hex(node.data.substr(0, 32)) +
         ")";
}

std::optional<Node> next_node(ByteReader& reader) {
  const auto type = reader.little<std::uint8_t>();
  const auto kind = reader.little<std::uint8_t>();
  const auto size = reader.little<std::uint16_t>();
  if (!type || !kind || !size || *size < 4) return std::nullopt;
  const auto data = reader.take(*size - std::size_t{4});
  if (!data) return std::nullopt;
  return Node{*type, *kind, *data};
}

void append(std::string& text, std::string_view separator, const std::string& what) {
  if (text.size() > kMaxText) return;
  if (!text.empty()) text += separator;
  text += what;
}

}  // namespace

DevicePath read_device_path(std::string_view bytes) {
  constexpr std::uint8_t kEnd = 0x7f;
  constexpr std::uint8_t kEndOfAll = 0xff;
  DevicePath path;
  ByteReader reader(bytes);
  while (const auto node = next_node(reader)) {
    if (node->type == kEnd && node->kind == kEndOfAll) {
      path.whole = true;
      break;
    }
    if (node->type == kEnd) {
      append(path.device, "", ",");
      continue;
    }
    if (node->type == 4 && node->kind == 4) {
      const std::string name = utf16_text(node->data);
      append(path.file, path.file.ends_with('\\') || name.starts_with('\\') ? "" : "\\", name);
      continue;
    }
    if (node->type == 4 && node->kind == 6) path.in_firmware = true;
    append(path.device, path.device.ends_with(',') ? "" : "/", text_of(*node));
  }
  path.text = path.device + (path.device.empty() || path.file.empty() ? "" : "/") + path.file;
  return path;
}

}  // namespace vmsec::boot::efi
