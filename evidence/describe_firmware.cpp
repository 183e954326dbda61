// What firmware tells of itself: its versions, volumes, tables, actions and separators.
#include <algorithm>
#include <array>

#include "describe_event.hpp"
#include "efi.hpp"

namespace vmsec::boot {
namespace {

bool is_printable(std::string_view bytes) {
  return !bytes.empty() && std::ranges::all_of(bytes, [](char c) { return c >= ' ' && c <= '~'; });
}

std::string_view without_zeros(std::string_view bytes) {
  const auto last = bytes.find_last_not_of('\0');
  return bytes.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

// What firmware vendors write as they like: a text of either kind, a GUID, else bytes.
std::string vendor_words(std::string_view data) {
  if (efi::is_utf16(data)) return "\"" + efi::utf16_text(data) + "\"";
  if (is_printable(without_zeros(data))) return "\"" + printable(without_zeros(data)) + "\"";
  if (data.size() == efi::kGuidBytes) return efi::guid_text(data);
  if (without_zeros(data).empty()) return "of no words";
  // A text at the beginning, and a structure behind it.
  const auto text = data.substr(0, data.find('\0'));
  if (text.size() >= 3 && is_printable(text))
    return "\"" + printable(text, 80) + "\" and " + in_bytes(data.size() - text.size()) + " more";
  return in_bytes(data.size()) + ": " + to_hex(data.substr(0, 24)) + (data.size() > 24 ? "..." : "");
}

std::string hexadecimal(std::uint64_t value) {
  const std::string digits = to_hex(big_endian(value));
  return "0x" + digits.substr(std::min(digits.find_first_not_of('0'), digits.size() - 1));
}

// UEFI_PLATFORM_FIRMWARE_BLOB, which is where it lies; some firmware writes a text instead.
std::string blob(std::string_view data) {
  ByteReader reader(data);
  const auto base = reader.little<std::uint64_t>();
  const auto size = reader.little<std::uint64_t>();
  if (!base || !size || reader.left() != 0 || is_printable(without_zeros(data))) return vendor_words(data);
  return in_bytes(*size) + " at " + hexadecimal(*base);
}

// The newer forms have a description before: one byte of size, then as many.
std::string described_blob(std::string_view data) {
  ByteReader reader(data);
  const auto size = reader.little<std::uint8_t>();
  const auto name = size ? reader.take(*size) : std::nullopt;
  if (!name || reader.left() != 16) return blob(data);
  return vendor_words(*name) + ", " + blob(reader.rest());
}

// A number of tables, and a GUID and an address for each.
std::optional<std::string> tables(std::string_view data) {
  ByteReader reader(data);
  const auto count = reader.little<std::uint64_t>();
  if (!count || reader.left() / 24 < *count || reader.left() != *count * 24) return std::nullopt;
  std::string text = std::to_string(*count) + (*count == 1 ? " table:" : " tables:");
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(*count, 8); ++i) {
    text += " " + efi::guid_text(*reader.take(efi::kGuidBytes));
    reader.take(8);
  }
  return text;
}

std::optional<std::string> described_tables(std::string_view data) {
  ByteReader reader(data);
  const auto size = reader.little<std::uint8_t>();
  const auto name = size ? reader.take(*size) : std::nullopt;
  if (!name) return std::nullopt;
  auto told = tables(reader.rest());
  if (!told) return std::nullopt;
  return vendor_words(*name) + ", " + *told;
}

void describe_tables(const std::optional<std::string>& told, const Event& event, Description& description) {
  description.part = Part::firmware_setting;
  if (told) {
    description.text = "handed over: " + *told;
    return;
  }
  description.text = "tables handed over: " + vendor_words(event.data);
  description.remarks.push_back("its list of tables is malformed");
}

struct Plain {
  EventType type;
  Part part;
  std::string_view words;
};

constexpr std::array kPlain{
    Plain{EventType::preboot_cert, Part::other, "certificate"},
    Plain{EventType::action, Part::action, ""},
    Plain{EventType::efi_action, Part::action, ""},
    Plain{EventType::crtm_version, Part::firmware, "CRTM version "},
    Plain{EventType::cpu_microcode, Part::firmware, "microcode "},
    Plain{EventType::platform_config_flags, Part::firmware_setting, "platform configuration "},
    Plain{EventType::table_of_devices, Part::firmware_setting, "table of devices "},
    Plain{EventType::compact_hash, Part::other, "compact hash "},
    Plain{EventType::ipl_partition_data, Part::partition_table, "boot sector's partitions "},
    Plain{EventType::nonhost_code, Part::firmware, "code of another processor "},
    Plain{EventType::nonhost_config, Part::firmware_setting, "settings of another processor "},
    Plain{EventType::nonhost_info, Part::firmware_setting, "of another processor or the host below "},
    Plain{EventType::omit_boot_device_events, Part::action, ""},
    Plain{EventType::hcrtm, Part::firmware, "hardware's own root of trust "},
    Plain{EventType::spdm_firmware_blob, Part::firmware, "a device's firmware, told by SPDM "},
    Plain{EventType::spdm_firmware_config, Part::firmware_setting, "a device's settings, told by SPDM "},
    Plain{EventType::spdm_device_policy, Part::signature_list, "what devices are let in by SPDM "},
    Plain{EventType::spdm_device_authority, Part::authority, "by what a device was let in by SPDM "},
};

void describe_plain(const Event& event, Description& description) {
  for (const auto& plain : kPlain) {
    if (static_cast<std::uint32_t>(plain.type) != event.type) continue;
    description.part = plain.part;
    description.text = std::string(plain.words) + vendor_words(event.data);
    return;
  }
  description.text = vendor_words(event.data);
}

void describe_blob(std::string_view name, const std::string& told, Description& description) {
  description.part = Part::firmware;
  description.text = std::string(name) + told;
}

std::string spec_id(std::string_view data) {
  constexpr std::size_t kVersion = 20;  // behind signature and platform class: minor, major, errata
  if (data.size() < kVersion + 3) return {};
  const auto number = [&](std::size_t at) { return std::to_string(static_cast<std::uint8_t>(data[at])); };
  return ": specification " + number(kVersion + 1) + "." + number(kVersion) + ", errata " + number(kVersion + 2);
}

}  // namespace

void describe_no_action(const Event& event, Description& description) {
  constexpr std::size_t kSignature = 16;
  constexpr std::uint32_t kWindowsTrustPoint = 0xc0010004;
  const std::string_view data = event.data;
  const std::string_view signature = without_zeros(data.substr(0, kSignature));
  description.part = Part::other;
  if (signature.starts_with("Spec ID Event")) {
    description.text = "header of the log, " + printable(signature) + spec_id(data);
    return;
  }
  if (signature == "StartupLocality") {
    description.part = Part::firmware;
    description.text = "the TPM was started from locality " +
                       (data.size() == kSignature + 1 ? std::to_string(static_cast<std::uint8_t>(data.back())) : "?");
    return;
  }
  if (signature.starts_with("SP800-155 Event")) {
    description.text = "where the vendor's reference values are: " + printable(signature);
    return;
  }
  if (signature == "NvIndexInstance" || signature == "NvIndexDynamic") {
    description.text = "a device's measurements by SPDM are in the TPM's NV: " + printable(signature);
    return;
  }
  if (ByteReader(data).little<std::uint32_t>() == kWindowsTrustPoint) {
    description.text = "Windows: trust point, " + in_bytes(data.size());
    return;
  }
  description.text = "informs of " + vendor_words(is_printable(signature) ? signature : data);
}

void describe_separator(const Event& event, Description& description) {
  description.part = Part::separator;
  const auto value = event.data.size() == 4 ? ByteReader(event.data).little<std::uint32_t>() : std::nullopt;
  if (value && (*value == 0 || *value == 0xffffffff)) {
    description.text = "separator";
    return;
  }
  // Windows' boot manager ends its own PCRs thus.
  if (event.pcr >= kFirmwarePcrCount) {
    description.text = "separator " + vendor_words(event.data);
    return;
  }
  if (event.data.starts_with(std::string_view("\1\0\0\0", 4))) {
    description.text = "separator of an error: " + vendor_words(event.data.substr(4));
    description.remarks.push_back("firmware tells that measuring has failed");
    return;
  }
  description.text = "separator " + vendor_words(event.data);
  description.remarks.push_back("a separator that is neither 0 nor all ones");
}

void describe_firmware(const Event& event, Description& description) {
  switch (static_cast<EventType>(event.type)) {
    case EventType::post_code:
      return describe_blob("POST code ", blob(event.data), description);
    case EventType::post_code2:
      return describe_blob("POST code ", described_blob(event.data), description);
    case EventType::crtm_contents:
      return describe_blob("CRTM ", described_blob(event.data), description);
    case EventType::firmware_blob:
      return describe_blob("firmware ", blob(event.data), description);
    case EventType::firmware_blob2:
      return describe_blob("firmware ", described_blob(event.data), description);
    case EventType::handoff_tables:
      return describe_tables(tables(event.data), event, description);
    case EventType::handoff_tables2:
      return describe_tables(described_tables(event.data), event, description);
    default:
      return describe_plain(event, description);
  }
}

}  // namespace vmsec::boot
