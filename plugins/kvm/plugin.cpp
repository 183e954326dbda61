// The KVM backend: libvirt's domains behind vmsec's capabilities.
#include "context.hpp"

namespace vmsec::kvm {
namespace {

class KvmBackend final : public Backend {
 public:
  explicit KvmBackend(std::shared_ptr<Context> context) : context_(std::move(context)) {}
  ~KvmBackend() override { context_->events->stop(); }

  Status fill() {
    VMSEC_TRY(events_, make_events(context_));
    VMSEC_TRY(domain_control_, make_domain_control(context_));
    VMSEC_TRY(resource_control_, make_resource_control(context_));
    VMSEC_TRY(io_control_, make_io_control(context_));
    VMSEC_TRY(memory_access_, make_memory_access(context_));
    VMSEC_TRY(boot_evidence_, make_boot_evidence(context_));
    VMSEC_TRY(migration_, make_migration(context_));
    VMSEC_TRY(interchange_, make_interchange(context_));
    return {};
  }

  [[nodiscard]] std::string name() const override { return "kvm"; }
  Result<DomainControl*> domain_control() override { return domain_control_.get(); }
  Result<ResourceControl*> resource_control() override { return resource_control_.get(); }
  Result<IoControl*> io_control() override { return io_control_.get(); }
  Result<Migration*> migration() override { return migration_.get(); }
  Result<MemoryAccess*> memory_access() override { return memory_access_.get(); }
  Result<BootEvidence*> boot_evidence() override { return boot_evidence_.get(); }
  Result<Events*> events() override { return events_.get(); }
  Result<Interchange*> interchange() override { return interchange_.get(); }

 private:
  std::shared_ptr<Context> context_;
  std::unique_ptr<Events> events_;
  std::unique_ptr<DomainControl> domain_control_;
  std::unique_ptr<ResourceControl> resource_control_;
  std::unique_ptr<IoControl> io_control_;
  std::unique_ptr<MemoryAccess> memory_access_;
  std::unique_ptr<BootEvidence> boot_evidence_;
  std::unique_ptr<Migration> migration_;
  std::unique_ptr<Interchange> interchange_;
};

Result<std::unique_ptr<Backend>> open(const BackendOptions& options) {
  auto context = std::make_shared<Context>();
  context->options = options;
  VMSEC_TRY(context->connection, Connection::open(options.uri.empty() ? "qemu:///system" : options.uri));
  auto backend = std::make_unique<KvmBackend>(std::move(context));
  VMSEC_CHECK(backend->fill());
  return std::unique_ptr<Backend>(std::move(backend));
}

}  // namespace
}  // namespace vmsec::kvm

VMSEC_PLUGIN("kvm", "QEMU and KVM domains through libvirt", vmsec::kvm::open);
