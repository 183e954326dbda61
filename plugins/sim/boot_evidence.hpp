#pragma once

#include "guest_turns.hpp"
#include "sim_host.hpp"
#include "swtpm.hpp"
#include "vmsec/backend.hpp"
#include "vmsec/capability/boot_evidence.hpp"

namespace vmsec::sim {

class SimBootEvidence final : public BootEvidence {
 public:
  // `tcti` empty: the host has no TPM. Of the options, the paths of the logs; empty: no log.
  SimBootEvidence(SimHost& host, std::string tcti, const BackendOptions& options, std::unique_ptr<SwTpm> tpm)
      : host_(host),
        tcti_(std::move(tcti)),
        event_log_(options.event_log),
        ima_list_(options.ima_list),
        module_log_(options.module_log),
        tpm_(std::move(tpm)) {}
  Result<HostEvidence> host(const Empty& request) override;
  Result<GuestReply> guest(const GuestRequest& request) override;

 private:
  SimHost& host_;
  common::GuestTurns turns_;
  const std::string tcti_;
  const std::string event_log_;
  const std::string ima_list_;
  const std::string module_log_;
  const std::unique_ptr<SwTpm> tpm_;
};

}  // namespace vmsec::sim
