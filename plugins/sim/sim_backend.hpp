// The simulated hypervisor: one Backend is one host.
#pragma once

#include "boot_evidence.hpp"
#include "domain_control.hpp"
#include "events.hpp"
#include "interchange.hpp"
#include "io_control.hpp"
#include "memory_access.hpp"
#include "migration.hpp"
#include "resource_control.hpp"
#include "vmsec/backend.hpp"

namespace vmsec::sim {

class SimBackend final : public Backend {
 public:
  SimBackend(std::unique_ptr<SimHost> host, const std::string& tcti, const std::string& event_log,
             const std::string& ima_list, std::unique_ptr<SwTpm> tpm);
  ~SimBackend() override;

  [[nodiscard]] std::string name() const override { return "sim"; }
  Result<DomainControl*> domain_control() override { return &domain_control_; }
  Result<ResourceControl*> resource_control() override { return &resource_control_; }
  Result<IoControl*> io_control() override { return &io_control_; }
  Result<Migration*> migration() override { return &migration_; }
  Result<MemoryAccess*> memory_access() override { return &memory_access_; }
  Result<BootEvidence*> boot_evidence() override { return &boot_evidence_; }
  Result<Events*> events() override { return &events_; }
  Result<Interchange*> interchange() override { return &interchange_; }

 private:
  std::unique_ptr<SimHost> host_;
  SimDomainControl domain_control_;
  SimResourceControl resource_control_;
  SimIoControl io_control_;
  SimMemoryAccess memory_access_;
  SimBootEvidence boot_evidence_;
  SimEvents events_;
  SimInterchange interchange_;
  SimMigration migration_;  // the last: its sessions end first
};

Result<std::unique_ptr<Backend>> open_backend(const BackendOptions& options);

}  // namespace vmsec::sim
