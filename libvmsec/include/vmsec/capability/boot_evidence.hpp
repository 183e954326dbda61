// Where the host's TPM and its event log are.
#pragma once

#include <string>

#include "vmsec/interface.hpp"

namespace vmsec {

struct HostEvidence {
  // A TCTI configuration as tpm2-tss's tctildr reads it: "device:/dev/tpmrm0",
  // "swtpm:path=/run/host-a/tpm.sock".
  std::string tcti;
  // The TCG PC Client event log of this host's boot, as firmware wrote it.
  std::string event_log;
  // Linux' IMA measurement list (binary_runtime_measurements); empty where none is configured.
  std::string ima_list;
  // Of the modules that were measured before they were loaded; empty: none is measured.
  std::string module_log;
  static constexpr std::string_view kMessage = "vmsec.HostEvidence";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "tcti", &HostEvidence::tcti), wire::field(2, "event_log", &HostEvidence::event_log),
        wire::field(3, "ima_list", &HostEvidence::ima_list), wire::field(4, "module_log", &HostEvidence::module_log));
  }
};

class BootEvidence {
 public:
  virtual ~BootEvidence() = default;
  // `unsupported` on a host without a TPM.
  virtual Result<HostEvidence> host(const Empty&) = 0;
};

template <>
struct Methods<BootEvidence> {
  static constexpr std::string_view kName = "vmsec.BootEvidence";
  static constexpr auto table() { return std::make_tuple(method(1, "Host", &BootEvidence::host)); }
};

template <>
class Proxy<BootEvidence> final : public Remote<BootEvidence> {
 public:
  using Remote::Remote;
  Result<HostEvidence> host(const Empty& r) override { return invoke<1>(r); }
};

}  // namespace vmsec
