// The module of the measurement: Check answers at once, Diff asks the host once and
// answers, Apply reads a domain's whole memory, mapped.
#include <sys/mman.h>

#include <chrono>
#include <cstring>

#include "vmsec/capability/domain_control.hpp"
#include "vmsec/capability/memory_access.hpp"
#include "vmsec/module.hpp"
#include "vmsec/service/enforcement.hpp"

namespace {

using namespace vmsec;

class Scanner final : public Enforcement {
 public:
  static Result<std::unique_ptr<Scanner>> create(HostLink host, const Settings&) {
    auto module = std::make_unique<Scanner>();
    VMSEC_TRY(module->memory_, host.open<MemoryAccess>());
    VMSEC_TRY(module->domains_, host.open<DomainControl>());
    return module;
  }
  Result<Endpoint*> endpoint(std::string_view) { return &endpoint_; }

  Result<Findings> check(const Settings&) override { return Findings{}; }
  Result<Changes> diff(const EnforcementTarget& target) override {
    VMSEC_CHECK(domains_->get({target.domain}));
    return Changes{};
  }
  // "found" and the rate, as text.
  Result<Changes> apply(const EnforcementTarget& target) override {
    VMSEC_TRY(const MemoryMap map, memory_->map({target.domain}));
    std::uint64_t found = 0;
    std::uint64_t bytes = 0;
    const auto began = std::chrono::steady_clock::now();
    for (const MemoryRegion& region : map.regions) {
      void* at = ::mmap(nullptr, region.length.value, PROT_READ, MAP_SHARED, map.file.get(),
                        static_cast<off_t>(region.file_offset));
      if (at == MAP_FAILED) return fail(errno_error("map guest memory"));
      const auto* word = static_cast<const std::uint64_t*>(at);
      for (std::uint64_t i = 0; i < region.length.value / sizeof *word; ++i)
        found += word[i] == 0x5ca1ab1edeadbeefULL ? 1 : 0;
      bytes += region.length.value;
      ::munmap(at, region.length.value);
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return Changes{
        {{"scanned", std::to_string(found), std::to_string(static_cast<double>(bytes) / seconds / 1e9) + " GB/s"}}};
  }

 private:
  std::unique_ptr<MemoryAccess> memory_;
  std::unique_ptr<DomainControl> domains_;
  EndpointOf<Enforcement> endpoint_{*this};
};

}  // namespace

VMSEC_MODULE(Scanner, R"(
name = "bench_scanner"
version = "1"
provides = ["vmsec.Enforcement"]
needs = ["vmsec.MemoryAccess", "vmsec.DomainControl"]
)");
