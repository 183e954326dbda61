// Event types by their names, and what the specification says of them: TCG PC Client
// Platform Firmware Profile, 10.4.
#pragma once

#include <cstdint>
#include <string>

namespace vmsec::boot {

enum class EventType : std::uint32_t {
  preboot_cert = 0x00000000,
  post_code = 0x00000001,
  no_action = 0x00000003,
  separator = 0x00000004,
  action = 0x00000005,
  event_tag = 0x00000006,
  crtm_contents = 0x00000007,
  crtm_version = 0x00000008,
  cpu_microcode = 0x00000009,
  platform_config_flags = 0x0000000a,
  table_of_devices = 0x0000000b,
  compact_hash = 0x0000000c,
  ipl = 0x0000000d,
  ipl_partition_data = 0x0000000e,
  nonhost_code = 0x0000000f,
  nonhost_config = 0x00000010,
  nonhost_info = 0x00000011,
  omit_boot_device_events = 0x00000012,
  post_code2 = 0x00000013,
  variable_driver_config = 0x80000001,
  variable_boot = 0x80000002,
  boot_services_application = 0x80000003,
  boot_services_driver = 0x80000004,
  runtime_services_driver = 0x80000005,
  gpt = 0x80000006,
  efi_action = 0x80000007,
  firmware_blob = 0x80000008,
  handoff_tables = 0x80000009,
  firmware_blob2 = 0x8000000a,
  handoff_tables2 = 0x8000000b,
  variable_boot2 = 0x8000000c,
  gpt2 = 0x8000000d,
  hcrtm = 0x80000010,
  variable_authority = 0x800000e0,
  spdm_firmware_blob = 0x800000e1,
  spdm_firmware_config = 0x800000e2,
  spdm_device_policy = 0x800000e3,
  spdm_device_authority = 0x800000e4,
};

}  // namespace vmsec::boot
