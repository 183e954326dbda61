// What libvirt chooses for a domain that says nothing of it, on this host, and what it can give to one.
#pragma once

#include <string>
#include <string_view>

#include "vmsec/result.hpp"

namespace vmsec::kvm {

struct DomainHost {
  std::string type;  // "kvm", or "qemu" where the host's processor does not help
  std::string arch;
  std::string emulator;
  bool uefi = false;  // there is a firmware
  bool tpm = false;   // there is an emulator
  friend bool operator==(const DomainHost&, const DomainHost&) = default;
};

// The machine of every domain that a definition makes; libvirt writes down a version of it.
inline constexpr std::string_view kMachine = "q35";

// Of libvirt's domain capabilities. `unsupported` for a host that has no such machine.
Result<DomainHost> parse_domain_host(std::string_view capabilities);

}  // namespace vmsec::kvm
