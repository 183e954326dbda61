#include "describe.hpp"

#include "bytes.hpp"

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

Description Describer::describe(const Event& event) { return {Part::other, printable(event.data), {}}; }

}  // namespace vmsec::boot
