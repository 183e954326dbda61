// The KVM backend: libvirt's domains behind vmsec's capabilities.
#include "context.hpp"

namespace vmsec::kvm {
namespace {

class KvmBackend final : public Backend {
 public:
  explicit KvmBackend(std::shared_ptr<Context> context) : context_(std::move(context)) {}

  [[nodiscard]] std::string name() const override { return "kvm"; }

 private:
  std::shared_ptr<Context> context_;
};

Result<std::unique_ptr<Backend>> open(const BackendOptions& options) {
  auto context = std::make_shared<Context>();
  context->options = options;
  VMSEC_TRY(context->connection, Connection::open(options.uri.empty() ? "qemu:///system" : options.uri));
  return std::unique_ptr<Backend>(std::make_unique<KvmBackend>(std::move(context)));
}

}  // namespace
}  // namespace vmsec::kvm

VMSEC_PLUGIN("kvm", "QEMU and KVM domains through libvirt", vmsec::kvm::open);
