// What firmware writes of itself into events: variables, signature lists, device
// paths, partition tables. The host's words: read to be shown, never to decide.
//
// Every length is checked; what does not hold together is nullopt, or said to be cut.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vmsec::boot::efi {

inline constexpr std::size_t kGuidBytes = 16;

// "8be4df61-93ca-11d2-aa0d-00e098032b8c", of 16 bytes.
std::string guid_text(std::string_view guid);

// UTF-16, little-endian, up to its first zero, as printable ASCII.
std::string utf16_text(std::string_view bytes);
// Whether these bytes look like such a text, with or without its last byte: ASCII in every other one.
bool is_utf16(std::string_view bytes);

// UEFI_VARIABLE_DATA.
struct Variable {
  std::string vendor;  // its GUID, as text
  std::string name;    // printable
  std::string_view data;
  std::string_view whole;  // without the few bytes that shim of some versions leaves behind
};
std::optional<Variable> read_variable(std::string_view bytes);

inline constexpr std::string_view kGlobalVendor = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
inline constexpr std::string_view kImageSecurityVendor = "d719b2cb-3d3a-4596-a3bc-dad00e67656f";
inline constexpr std::string_view kShimVendor = "605dab50-e046-4300-abb6-3dd810dd8b23";

// EFI_SIGNATURE_LISTs, one behind the other.
struct SignatureLists {
  std::size_t certificates = 0;
  std::size_t hashes = 0;  // of images or of certificates
  std::size_t others = 0;
  std::vector<std::string> names;  // of the first certificates
};
std::optional<SignatureLists> read_signature_lists(std::string_view bytes);

// The common name of an X.509 certificate, else all of its subject; printable. nullopt: it is none.
std::optional<std::string> certificate_name(std::string_view der);

struct DevicePath {
  std::string text;          // as UEFI writes it: PciRoot(0x0)/Pci(0x3,0x0)/HD(1,GPT,...)/\EFI\BOOT\BOOTX64.EFI
  std::string device;        // the same without its file
  std::string file;          // \EFI\BOOT\BOOTX64.EFI; empty: it names none
  bool in_firmware = false;  // the file is in a firmware volume
  bool whole = false;        // it has its end, and each node its bytes
};
DevicePath read_device_path(std::string_view bytes);

// UEFI_IMAGE_LOAD_EVENT.
struct ImageLoad {
  std::uint64_t bytes = 0;
  std::optional<DevicePath> path;  // nullopt: it has none
};
std::optional<ImageLoad> read_image_load(std::string_view bytes);

// EFI_LOAD_OPTION: Boot0001.
struct LoadOption {
  bool active = false;
  std::string description;
  DevicePath path;
};
std::optional<LoadOption> read_load_option(std::string_view bytes);

// UEFI_GPT_DATA.
struct PartitionTable {
  std::string disk;  // its GUID, as text
  std::vector<std::string> partitions;
};
std::optional<PartitionTable> read_partition_table(std::string_view bytes);

}  // namespace vmsec::boot::efi
