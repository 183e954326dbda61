// What the specification says of an event's type: TCG PC Client Platform Firmware Profile, 10.4.1.
#include <array>

#include "describe_event.hpp"
#include "efi.hpp"

namespace vmsec::boot {
namespace {

// What an event's digest is of.
enum class Covers {
  else_where,     // of code or tables that the log does not hold
  data,           // of the event's data
  variable,       // of the variable, its name and value; in logs of the old form, by some, of the value alone
  boot_variable,  // of either
};

struct Rule {
  EventType type;
  std::uint32_t pcrs;  // as bits
  Covers covers;
};

constexpr std::uint32_t pcrs(std::initializer_list<std::uint32_t> list) {
  std::uint32_t bits = 0;
  for (const auto pcr : list) bits |= 1U << pcr;
  return bits;
}

constexpr std::uint32_t kAny = 0xffffff;
constexpr std::uint32_t kFirmware = 0x0000ff;
constexpr std::uint32_t kSystem = 0xffff00;  // of boot loaders and systems

// Where specifications of several years differ, what any of them allows.
constexpr std::array kRules{
    Rule{EventType::preboot_cert, kAny, Covers::else_where},
    Rule{EventType::post_code, pcrs({0}), Covers::else_where},
    Rule{EventType::no_action, kAny, Covers::else_where},
    Rule{EventType::separator, kAny, Covers::data},
    Rule{EventType::action, kFirmware, Covers::data},
    Rule{EventType::event_tag, kSystem, Covers::else_where},
    Rule{EventType::crtm_contents, pcrs({0}), Covers::else_where},
    Rule{EventType::crtm_version, pcrs({0}), Covers::data},
    Rule{EventType::cpu_microcode, pcrs({0, 1}), Covers::else_where},
    Rule{EventType::platform_config_flags, pcrs({1}), Covers::else_where},
    Rule{EventType::table_of_devices, pcrs({1}), Covers::else_where},
    Rule{EventType::compact_hash, kAny & ~pcrs({0, 1, 2, 3}), Covers::else_where},
    Rule{EventType::ipl, kSystem | pcrs({4, 5}), Covers::else_where},
    Rule{EventType::ipl_partition_data, pcrs({5}), Covers::else_where},
    Rule{EventType::nonhost_code, pcrs({0, 2}), Covers::else_where},
    Rule{EventType::nonhost_config, pcrs({1, 3}), Covers::else_where},
    Rule{EventType::nonhost_info, pcrs({0}), Covers::else_where},
    Rule{EventType::omit_boot_device_events, pcrs({4}), Covers::data},
    Rule{EventType::post_code2, pcrs({0}), Covers::else_where},
    Rule{EventType::variable_driver_config, pcrs({1, 3, 5, 7}), Covers::variable},
    Rule{EventType::variable_boot, pcrs({1, 5}), Covers::boot_variable},
    Rule{EventType::boot_services_application, pcrs({2, 4}), Covers::else_where},
    Rule{EventType::boot_services_driver, pcrs({0, 2, 4}), Covers::else_where},
    Rule{EventType::runtime_services_driver, pcrs({0, 2, 4}), Covers::else_where},
    Rule{EventType::gpt, pcrs({5}), Covers::data},
    Rule{EventType::efi_action, kFirmware, Covers::data},
    Rule{EventType::firmware_blob, pcrs({0, 2, 4}), Covers::else_where},
    Rule{EventType::handoff_tables, pcrs({1}), Covers::else_where},
    Rule{EventType::firmware_blob2, pcrs({0, 2, 4}), Covers::else_where},
    Rule{EventType::handoff_tables2, pcrs({1}), Covers::else_where},
    Rule{EventType::variable_boot2, pcrs({1}), Covers::data},
    Rule{EventType::gpt2, pcrs({5}), Covers::data},
    Rule{EventType::hcrtm, pcrs({0}), Covers::else_where},
    Rule{EventType::variable_authority, pcrs({7}), Covers::variable},
    Rule{EventType::spdm_firmware_blob, pcrs({2}), Covers::else_where},
    Rule{EventType::spdm_firmware_config, pcrs({3}), Covers::else_where},
    Rule{EventType::spdm_device_policy, pcrs({7}), Covers::else_where},
    Rule{EventType::spdm_device_authority, pcrs({7}), Covers::else_where},
};

const Rule* rule_of(std::uint32_t type) {
  for (const auto& rule : kRules)
    if (static_cast<std::uint32_t>(rule.type) == type) return &rule;
  return nullptr;
}

// A log of the old form, as firmware wrote it for TPM 1.2.
bool is_old(const Event& event) { return event.digests.size() == 1 && event.digests[0].hash == Hash::sha1; }

bool covered(const Event& event, Covers covers) {
  if (covers == Covers::else_where || is_digest_of(event, event.data)) return true;
  if (covers == Covers::data) return false;
  const auto variable = efi::read_variable(event.data);
  if (!variable) return false;
  // And of some of the bytes that may stand behind it.
  for (std::size_t size = variable->whole.size(); size < event.data.size(); ++size)
    if (is_digest_of(event, event.data.substr(0, size))) return true;
  return (covers == Covers::boot_variable || is_old(event)) && is_digest_of(event, variable->data);
}

bool all_zero(std::string_view bytes) { return bytes.find_first_not_of('\0') == std::string_view::npos; }

// What extends nothing has no digest either: else something measured may hide behind this type. Windows
// tells of its keys under no PCR, with a digest of just that.
void check_no_action(const Event& event, Description& description) {
  if (event.pcr >= kPcrCount && is_digest_of(event, event.data)) return;
  for (const auto& digest : event.digests)
    if (!all_zero(digest.bytes)) {
      description.remarks.push_back("EV_NO_ACTION has a digest, and yet extends nothing");
      return;
    }
}

}  // namespace

bool is_digest_of(const Event& event, std::string_view bytes) {
  for (const auto& each : event.digests) {
    if (!digest_size(each.hash)) continue;
    const auto computed = digest(each.hash, {bytes});
    if (computed && *computed != each.bytes) return false;
  }
  return true;
}

void check_rules(const Event& event, Description& description) {
  const auto* rule = rule_of(event.type);
  if (rule == nullptr) {
    description.remarks.push_back(event_type_name(event.type) + " is not known");
    return;
  }
  if (!event.extends()) return check_no_action(event, description);
  if ((rule->pcrs >> event.pcr & 1U) == 0)
    description.remarks.push_back(event_type_name(event.type) + " has no place in PCR " + std::to_string(event.pcr));
  if (!covered(event, rule->covers)) description.remarks.push_back("its digest is not that of the data shown here");
}

}  // namespace vmsec::boot
