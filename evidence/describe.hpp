// What an event says of itself: for people, and to name things by when a reference
// is learned. The host's own words: nothing is ever decided by them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "eventlog.hpp"

namespace vmsec::boot {

inline constexpr std::uint32_t kFirmwarePcrCount = 8;  // PCR 0 to 7

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

// What GRUB has said that it will load, by its own words.
struct GrubWords {
  std::string kernel;                // path; empty: no `linux` yet
  std::vector<std::string> initrds;  // paths
  bool kernel_due = false;           // `linux` was its last command
};

// In the order of the log: some events are known by what stands before them.
class Describer {
 public:
  explicit Describer(const std::vector<Bank>& banks) : banks_(banks) {}
  Description describe(const Event& event);
  // What is wrong with the log as a whole, once each event was described.
  [[nodiscard]] std::vector<std::string> finish() const;

 private:
  void note_order(const Event& event, Description& description);

  std::vector<Bank> banks_;
  GrubWords grub_;
  std::uint32_t images_ = 0;  // that PCR 4 has of boot loaders and kernels
  std::array<std::uint32_t, kFirmwarePcrCount> separators_{};
  bool firmware_ = false;  // an event has extended one of firmware's PCRs
};

}  // namespace vmsec::boot
