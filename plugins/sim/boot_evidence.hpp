#pragma once

#include "sim_host.hpp"
#include "swtpm.hpp"
#include "vmsec/capability/boot_evidence.hpp"

namespace vmsec::sim {

class SimBootEvidence final : public BootEvidence {
 public:
  // `tcti` empty: the host has no TPM. `event_log`, `ima_list`: paths; empty: none.
  SimBootEvidence(SimHost& host, std::string tcti, std::string event_log, std::string ima_list,
                  std::unique_ptr<SwTpm> tpm)
      : host_(host),
        tcti_(std::move(tcti)),
        event_log_(std::move(event_log)),
        ima_list_(std::move(ima_list)),
        tpm_(std::move(tpm)) {}
  Result<HostEvidence> host(const Empty& request) override;

 private:
  SimHost& host_;
  const std::string tcti_;
  const std::string event_log_;
  const std::string ima_list_;
  const std::unique_ptr<SwTpm> tpm_;
};

}  // namespace vmsec::sim
