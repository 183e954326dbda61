#pragma once

#include "guest_turns.hpp"
#include "sim_host.hpp"
#include "swtpm.hpp"
#include "vmsec/capability/boot_evidence.hpp"

namespace vmsec::sim {

class SimBootEvidence final : public BootEvidence {
 public:
  // `tcti` empty: the host has no TPM. `event_log`: a path; empty: no log.
  SimBootEvidence(SimHost& host, std::string tcti, std::string event_log, std::unique_ptr<SwTpm> tpm)
      : host_(host), tcti_(std::move(tcti)), event_log_(std::move(event_log)), tpm_(std::move(tpm)) {}
  Result<HostEvidence> host(const Empty& request) override;
  Result<GuestReply> guest(const GuestRequest& request) override;

 private:
  SimHost& host_;
  common::GuestTurns turns_;
  const std::string tcti_;
  const std::string event_log_;
  const std::unique_ptr<SwTpm> tpm_;
};

}  // namespace vmsec::sim
