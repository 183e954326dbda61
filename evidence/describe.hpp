// What an event says of itself: for people, and to name things by when a reference
// is learned. The host's own words: nothing is ever decided by them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "eventlog.hpp"

namespace vmsec::boot {

// What is measured, as far as an event tells.
enum class Part : std::uint8_t {
  other,
  firmware,          // firmware's own code and volumes, CRTM version
  firmware_setting,  // boot order, boot entries, tables
  secure_boot,       // whether Secure Boot is on
  secure_boot_key,   // PK, KEK
  signature_list,    // db, dbx, dbt, dbr, and shim's own lists
  authority,         // the certificate or digest by which an image was let run
  partition_table,
  boot_loader,          // shim, GRUB, systemd-boot: an image that firmware starts
  boot_loader_setting,  // GRUB's and systemd-boot's configuration and commands
  kernel,
  initrd,
  command_line,
  separator,
  action,
};

// As a reference's file names it: "kernel", "command-line".
std::string_view to_string(Part part);

struct Description {
  Part part = Part::other;
  std::string text;                  // printable, at most 300 characters
  std::vector<std::string> remarks;  // what is unknown, malformed or misplaced about it; empty for most
};

// In the order of the log: some events are known by what stands before them.
class Describer {
 public:
  explicit Describer(const std::vector<Bank>& banks) : banks_(banks) {}
  Description describe(const Event& event);

 private:
  std::vector<Bank> banks_;
};

}  // namespace vmsec::boot
