#include "sim_backend.hpp"

namespace vmsec::sim {

SimBackend::SimBackend(std::unique_ptr<SimHost> host, const std::string& tcti, const std::string& event_log,
                       const std::string& ima_list, std::unique_ptr<SwTpm> tpm)
    : host_(std::move(host)),
      domain_control_(*host_),
      resource_control_(*host_),
      io_control_(*host_),
      memory_access_(*host_),
      boot_evidence_(*host_, tcti, event_log, ima_list, std::move(tpm)),
      events_(*host_),
      interchange_(*host_),
      migration_(*host_) {}

SimBackend::~SimBackend() { host_->events().close(); }

Result<std::unique_ptr<Backend>> open_backend(const BackendOptions& options) try {
  auto faults = std::make_unique<Faults>();
  VMSEC_TRY(auto settings, read_settings(options, *faults));
  const bool own_tpm = settings.tpm == TpmKind::swtpm;
  if (own_tpm && !options.tpm_tcti.empty())
    return fail(Code::invalid_argument, "open simulated host: both a TPM and setting tpm = \"swtpm\" are given");
  VMSEC_TRY(auto host, SimHost::open(std::move(settings), std::move(faults)));
  std::unique_ptr<SwTpm> tpm;
  std::string tcti = options.tpm_tcti;
  if (own_tpm) {
    VMSEC_TRY(tpm, SwTpm::start(options.run_dir, options.state_dir));
    tcti = tpm->tcti();
  }
  return std::make_unique<SimBackend>(std::move(host), tcti, options.event_log, options.ima_list, std::move(tpm));
} catch (const std::exception& error) {
  return fail(Code::internal, std::string("open simulated host: ") + error.what());
}

}  // namespace vmsec::sim

VMSEC_PLUGIN("sim", "The simulated hypervisor: domains in this process, with real memory and limits",
             vmsec::sim::open_backend);
