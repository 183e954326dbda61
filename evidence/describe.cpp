#include "describe.hpp"

#include <algorithm>

#include "bytes.hpp"
#include "describe_event.hpp"
#include "pcr_mask.hpp"

namespace vmsec::boot {

std::string_view to_string(Part part) {
  switch (part) {
    case Part::other:
      return "other";
    case Part::firmware:
      return "firmware";
    case Part::firmware_setting:
      return "firmware-setting";
    case Part::secure_boot:
      return "secure-boot";
    case Part::secure_boot_key:
      return "secure-boot-key";
    case Part::signature_list:
      return "signature-list";
    case Part::authority:
      return "authority";
    case Part::partition_table:
      return "partition-table";
    case Part::boot_loader:
      return "boot-loader";
    case Part::boot_loader_setting:
      return "boot-loader-setting";
    case Part::kernel:
      return "kernel";
    case Part::initrd:
      return "initrd";
    case Part::command_line:
      return "command-line";
    case Part::separator:
      return "separator";
    case Part::action:
      return "action";
  }
  return "other";
}

namespace {

constexpr std::size_t kMaxTextBytes = 297;  // and "..." where it is cut

// Commands and lists may be of several lines.
std::string one_line(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  std::ranges::replace(text, '\n', ' ');
  std::ranges::replace(text, '\t', ' ');
  return printable(text, kMaxTextBytes);
}

void describe_as(const Event& event, GrubWords& grub, std::uint32_t& images, Description& description) {
  switch (static_cast<EventType>(event.type)) {
    case EventType::no_action:
      return describe_no_action(event, description);
    case EventType::separator:
      return describe_separator(event, description);
    case EventType::variable_driver_config:
    case EventType::variable_boot:
    case EventType::variable_boot2:
    case EventType::variable_authority:
      return describe_variable(event, description);
    case EventType::boot_services_application:
    case EventType::boot_services_driver:
    case EventType::runtime_services_driver:
      return describe_image(event, grub, images, description);
    case EventType::gpt:
    case EventType::gpt2:
      return describe_gpt(event, description);
    case EventType::ipl:
      return describe_ipl(event, grub, description);
    case EventType::event_tag:
      return describe_tag(event, description);
    default:
      return describe_firmware(event, description);
  }
}

}  // namespace

Description Describer::describe(const Event& event) {
  Description description;
  describe_as(event, grub_, images_, description);
  description.text = one_line(std::move(description.text));
  if (description.text.empty()) description.text = "of no words";
  check_rules(event, description);
  note_order(event, description);
  return description;
}

// What is measured behind a separator was not there when what is before it was decided.
void Describer::note_order(const Event& event, Description& description) {
  if (!event.extends() || event.pcr >= kFirmwarePcrCount) return;
  firmware_ = true;
  if (event.type == static_cast<std::uint32_t>(EventType::separator)) {
    ++separators_[event.pcr];
    return;
  }
  const bool setting = event.type == static_cast<std::uint32_t>(EventType::variable_driver_config);
  if (event.pcr == 7 && setting && separators_[7] != 0)
    description.remarks.push_back("a Secure Boot setting behind PCR 7's separator");
}

std::vector<std::string> Describer::finish() const {
  std::vector<std::string> remarks;
  if (!firmware_) return remarks;  // a log of others than firmware
  PcrMask none;
  for (std::uint32_t pcr = 0; pcr < kFirmwarePcrCount; ++pcr) {
    if (separators_[pcr] == 0) none.add(pcr);
    if (separators_[pcr] > 1)
      remarks.push_back("PCR " + std::to_string(pcr) + " has " + std::to_string(separators_[pcr]) +
                        " separators, where firmware measures one");
  }
  if (none.bits != 0) remarks.push_back("no separator in PCR " + to_string(none) + ", where firmware measures one");
  return remarks;
}

}  // namespace vmsec::boot
