// MemoryAccess by Xen's foreign mappings.
#include "context.hpp"
#include "domain.hpp"
#include "guest_memory.hpp"

namespace vmsec::xen {
namespace {

constexpr std::uint64_t kLargestRead = 1 << 20;

class XenMemoryAccess final : public MemoryAccess {
 public:
  explicit XenMemoryAccess(std::shared_ptr<Context> context) : context_(std::move(context)) {}

  Result<MemoryMap> map(const DomainRef& request) override {
    const std::string operation = "map the memory of " + request.domain.text();
    VMSEC_CHECK(find(request.domain, operation));
    return fail(Code::unsupported, operation + ": under Xen a guest's memory is in no file; read it by calls");
  }

  Result<MemoryBytes> read(const ReadMemory& request) override {
    const std::string operation = "read " + std::to_string(request.length.value) + " bytes of the memory of " +
                                  request.domain.text() + " at " + std::to_string(request.guest_address);
    if (request.length.value > kLargestRead)
      return fail(Code::invalid_argument, operation + ": more than " + std::to_string(kLargestRead) + " in one call");
    VMSEC_TRY(const Seen seen, find(request.domain, operation));
    if (request.guest_address > ~request.length.value)
      return fail(Code::invalid_argument, operation + ": outside of its memory");
    const Frames whose = seen.pv ? Frames::guests_own : Frames::translated;
    auto bytes = read_memory(seen.domid, whose, request.guest_address, request.length.value);
    if (!bytes) return fail(bytes.error().in(operation));
    return MemoryBytes{std::move(*bytes)};
  }

 private:
  Result<Seen> find(const Uuid& uuid, const std::string& operation) {
    return context_->toolstack->call(operation, [pool = context_->pool, uuid, operation](Libxl& libxl) -> Result<Seen> {
      VMSEC_TRY(const Seen seen, find_domain(libxl, pool, uuid, operation));
      VMSEC_CHECK(require_active(seen, operation));
      return seen;
    });
  }

  std::shared_ptr<Context> context_;
};

}  // namespace

std::unique_ptr<MemoryAccess> make_memory_access(std::shared_ptr<Context> context) {
  return std::make_unique<XenMemoryAccess>(std::move(context));
}

}  // namespace vmsec::xen
