// The Xen backend: libxl's domains behind vmsec's capabilities.
#include "boot_evidence.hpp"
#include "context.hpp"

namespace vmsec::xen {
namespace {

class XenBackend final : public Backend {
 public:
  XenBackend(const std::shared_ptr<Context>& context, std::unique_ptr<Migration> migration)
      : context_(context),
        domain_control_(make_domain_control(context)),
        resource_control_(make_resource_control(context)),
        io_control_(make_io_control(context)),
        memory_access_(make_memory_access(context)),
        migration_(std::move(migration)),
        boot_evidence_(common::make_boot_evidence(context->options)),
        interchange_(make_interchange(context)),
        events_(make_events(context)) {}
  ~XenBackend() override { context_->events->stop(); }

  [[nodiscard]] std::string name() const override { return "xen"; }
  Result<DomainControl*> domain_control() override { return domain_control_.get(); }
  Result<ResourceControl*> resource_control() override { return resource_control_.get(); }
  Result<IoControl*> io_control() override { return io_control_.get(); }
  Result<MemoryAccess*> memory_access() override { return memory_access_.get(); }
  Result<Migration*> migration() override { return migration_.get(); }
  Result<BootEvidence*> boot_evidence() override { return boot_evidence_.get(); }
  Result<Interchange*> interchange() override { return interchange_.get(); }
  Result<Events*> events() override { return events_.get(); }

 private:
  std::shared_ptr<Context> context_;
  std::unique_ptr<DomainControl> domain_control_;
  std::unique_ptr<ResourceControl> resource_control_;
  std::unique_ptr<IoControl> io_control_;
  std::unique_ptr<MemoryAccess> memory_access_;
  std::unique_ptr<Migration> migration_;
  std::unique_ptr<BootEvidence> boot_evidence_;
  std::unique_ptr<Interchange> interchange_;
  std::unique_ptr<Events> events_;
};

// "xen:" is the host, "xen:NAME" the domains of one of its pools of CPUs.
Result<std::string> pool_of(const std::string& uri) {
  constexpr std::string_view kScheme = "xen:";
  if (uri.empty()) return std::string();
  if (!uri.starts_with(kScheme))
    return fail(Code::invalid_argument, "open \"" + uri + "\": want \"xen:\", or \"xen:NAME\" with a pool of CPUs");
  return uri.substr(kScheme.size());
}

Result<std::unique_ptr<Backend>> open(const BackendOptions& options) {
  auto context = std::make_shared<Context>();
  context->options = options;
  VMSEC_TRY(context->pool, pool_of(options.uri));
  VMSEC_TRY(context->toolstack, Toolstack::open());
  VMSEC_TRY(auto migration, make_migration(context));
  return std::unique_ptr<Backend>(std::make_unique<XenBackend>(context, std::move(migration)));
}

}  // namespace
}  // namespace vmsec::xen

VMSEC_PLUGIN("xen", "Xen domains through libxl", vmsec::xen::open);
