// UEFI's variables, and what an image was let run by.
#include <algorithm>
#include <array>

#include "describe_event.hpp"
#include "efi.hpp"

namespace vmsec::boot {
namespace {

using efi::Variable;

// "2 certificates (Microsoft ..., Canonical ...), 77 hashes"; nullopt: malformed.
std::optional<std::string> list_text(std::string_view data) {
  if (data.empty()) return "empty";
  const auto lists = efi::read_signature_lists(data);
  if (!lists) return std::nullopt;
  std::string names;
  for (const auto& name : lists->names) names += (names.empty() ? "" : ", ") + name;
  const auto counted = [](std::size_t count, const std::string& what) {
    return std::to_string(count) + " " + what + (count == 1 ? "" : what == "hash" ? "es" : "s");
  };
  std::string text;
  if (lists->certificates != 0)
    text = counted(lists->certificates, "certificate") + (names.empty() ? "" : " (" + names + ")");
  if (lists->hashes != 0) text += (text.empty() ? "" : ", ") + counted(lists->hashes, "hash");
  if (lists->others != 0) text += (text.empty() ? "" : ", ") + counted(lists->others, "entry of another kind");
  return text.empty() ? "empty" : text;
}

void describe_list(const Variable& variable, Part part, Description& description) {
  description.part = part;
  const auto told = list_text(variable.data);
  description.text = variable.name + ": " + told.value_or(in_bytes(variable.data.size()));
  if (!told) description.remarks.push_back("its signature list is malformed");
}

void describe_switch(const Variable& variable, Description& description) {
  description.part = Part::secure_boot;
  if (variable.data == std::string_view("\0", 1) || variable.data == "\1") {
    description.text = variable.name + ": " + (variable.data[0] == 1 ? "on" : "off");
    return;
  }
  // Firmware without Secure Boot measures that it has no such variable.
  description.text = variable.name + ": " + (variable.data.empty() ? "none" : in_bytes(variable.data.size()));
  if (!variable.data.empty()) description.remarks.push_back(variable.name + " is neither 0 nor 1");
}

void describe_order(const Variable& variable, Description& description) {
  const std::string entry = variable.name.starts_with("Driver") ? "Driver" : "Boot";
  description.text = variable.name + ":";
  ByteReader reader(variable.data);
  while (const auto number = reader.little<std::uint16_t>()) {
    std::string digits = to_hex(big_endian(*number));
    for (auto& c : digits) c = c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
    description.text += " " + entry + digits;
  }
  if (reader.left() != 0) description.remarks.push_back("its order is malformed");
}

void describe_option(const Variable& variable, Description& description) {
  const auto option = efi::read_load_option(variable.data);
  if (!option) {
    description.text = variable.name + ": " + in_bytes(variable.data.size());
    if (!variable.data.empty()) description.remarks.push_back("its load option is malformed");
    return;
  }
  description.text = variable.name + ": \"" + option->description + "\"" + (option->active ? ", " : ", not active, ") +
                     option->path.text;
  if (!option->path.whole) description.remarks.push_back("its device path is malformed");
}

// Boot0001, Driver0000, SysPrep00A3.
bool is_option(const std::string& name) {
  constexpr std::array<std::string_view, 3> kKinds{"Boot", "Driver", "SysPrep"};
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  return std::ranges::any_of(kKinds, [&](std::string_view kind) {
    return name.starts_with(kind) && name.size() == kind.size() + 4 &&
           std::ranges::all_of(name.substr(kind.size()), is_digit);
  });
}

bool is_one_of(const std::string& name, std::initializer_list<std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

void describe_other(const Variable& variable, Description& description) {
  const bool text = std::ranges::all_of(variable.data, [](char c) { return (c >= ' ' && c <= '~') || c == '\n'; });
  description.text =
      variable.name + " of " + variable.vendor + ": " +
      (text && !variable.data.empty() ? "\"" + printable(variable.data) + "\"" : in_bytes(variable.data.size()));
}

void describe_value(const Variable& variable, Description& description) {
  description.part = Part::firmware_setting;
  if (variable.vendor == efi::kGlobalVendor) {
    if (is_one_of(variable.name, {"SecureBoot", "SetupMode", "AuditMode", "DeployedMode"}))
      return describe_switch(variable, description);
    if (is_one_of(variable.name, {"PK", "KEK"})) return describe_list(variable, Part::secure_boot_key, description);
    if (is_one_of(variable.name, {"BootOrder", "BootNext", "BootCurrent", "DriverOrder"}))
      return describe_order(variable, description);
    if (is_option(variable.name)) return describe_option(variable, description);
  }
  if (variable.vendor == efi::kImageSecurityVendor && is_one_of(variable.name, {"db", "dbx", "dbt", "dbr"}))
    return describe_list(variable, Part::signature_list, description);
  describe_other(variable, description);
}

// The entry of a list that an image's signature or hash was found by, behind its owner's GUID; shim
// gives a certificate of its own without one.
std::string authority(std::string_view data) {
  constexpr std::array<std::size_t, 4> kHashBytes{20, 32, 48, 64};
  if (const auto name = efi::certificate_name(data)) return "by certificate " + *name;
  if (data.size() > efi::kGuidBytes) {
    const auto entry = data.substr(efi::kGuidBytes);
    if (const auto name = efi::certificate_name(entry)) return "by certificate " + *name;
    if (std::ranges::find(kHashBytes, entry.size()) != kHashBytes.end()) return "by hash " + to_hex(entry);
  }
  if (const auto told = data.empty() ? std::nullopt : list_text(data)) return "by " + *told;
  return in_bytes(data.size());
}

void describe_authority(const Variable& variable, Description& description) {
  description.part = Part::authority;
  if (variable.vendor == efi::kShimVendor && variable.name == "SbatLevel") {
    description.part = Part::signature_list;
    description.text = "SbatLevel: " + std::string(variable.data.substr(0, variable.data.find('\0')));
    return;
  }
  if (variable.vendor == efi::kShimVendor && variable.data.size() == 1) {
    description.part = Part::signature_list;
    description.text = variable.name + ": " + (variable.data[0] == 0 ? "off" : "on");
    return;
  }
  const bool known = variable.vendor == efi::kImageSecurityVendor || variable.vendor == efi::kShimVendor;
  description.text =
      variable.name + (known ? "" : " of " + variable.vendor) + ": let an image run, " + authority(variable.data);
}

}  // namespace

void describe_variable(const Event& event, Description& description) {
  const bool is_authority = event.type == static_cast<std::uint32_t>(EventType::variable_authority);
  description.part = is_authority ? Part::authority : Part::firmware_setting;
  const auto variable = efi::read_variable(event.data);
  if (!variable) {
    description.text = "a variable of " + in_bytes(event.data.size());
    description.remarks.push_back("its variable is malformed");
    return;
  }
  return is_authority ? describe_authority(*variable, description) : describe_value(*variable, description);
}

}  // namespace vmsec::boot
