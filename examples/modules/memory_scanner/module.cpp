// memory_scanner: looks for byte patterns in a guest's memory, from below the guest.
#include <chrono>
#include <cstdio>
#include <vmsec/module.hpp>
#include <vmsec/service/inspection.hpp>

#include "guest.hpp"

namespace memory_scanner {
namespace {

using namespace vmsec;

std::string hexadecimal(std::uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

std::string gigabytes_a_second(std::uint64_t bytes, double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GB/s", seconds > 0 ? static_cast<double>(bytes) / seconds / 1e9 : 0.0);
  return text;
}

class MemoryScanner final : public Inspection {
 public:
  static Result<std::unique_ptr<MemoryScanner>> create(const HostLink& host, const Settings& settings) {
    auto module = std::make_unique<MemoryScanner>();
    VMSEC_CHECK(read_wanted(settings, module->configured_));
    VMSEC_TRY(module->memory_, host.open<MemoryAccess>());
    VMSEC_TRY(module->domains_, host.open<DomainControl>());
    return module;
  }

  Result<Endpoint*> endpoint(std::string_view name) {
    if (name == endpoint_.interface_name()) return &endpoint_;
    return fail(Code::not_found, "memory_scanner provides no " + std::string(name));
  }

  Result<InspectionReport> inspect(const InspectionTarget& target) override {
    Wanted wanted = configured_;
    VMSEC_CHECK(read_wanted(target.wanted, wanted));
    if (wanted.patterns.empty())
      return fail(Code::invalid_argument, "memory_scanner: no pattern is given: want pattern.<name>");
    Scan scan(wanted);
    const auto begin = std::chrono::steady_clock::now();
    VMSEC_TRY(const std::string way, scan_guest(scan, target.domain));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    return report(scan, wanted, way, took.count());
  }

 private:
  Result<std::string> scan_guest(Scan& scan, const Uuid& domain) {
    const auto map = memory_->map({domain});
    if (map) {
      VMSEC_CHECK(scan_mapped(scan, *map));
      return "mapping";
    }
    if (map.error().code != Code::unsupported) return fail(map.error());
    VMSEC_TRY(const DomainInfo info, domains_->get({domain}));
    VMSEC_CHECK(Reads(scan, *memory_, domain).all(info.memory.value));
    return "reads";
  }

  static InspectionReport report(const Scan& scan, const Wanted& wanted, const std::string& way, double seconds) {
    InspectionReport report;
    for (const Hit& hit : scan.hits())
      report.observations.push_back({Severity::critical, "memory at " + hexadecimal(hit.address),
                                     "holds the pattern \"" + hit.pattern + "\", " +
                                         std::to_string(wanted.patterns.at(hit.pattern).size()) + " bytes"});
    report.measurements = {{"scanned", to_text(Bytes{scan.bytes()})},
                           {"by", way},
                           {"speed", gigabytes_a_second(scan.bytes(), seconds)},
                           {"hits", std::to_string(scan.hits().size()) + (scan.full() ? ", and ended there" : "")}};
    return report;
  }

  Wanted configured_;
  std::unique_ptr<MemoryAccess> memory_;
  std::unique_ptr<DomainControl> domains_;
  EndpointOf<Inspection> endpoint_{*this};
};

}  // namespace
}  // namespace memory_scanner

VMSEC_MODULE(memory_scanner::MemoryScanner, R"(
name = "memory_scanner"
version = "0.1"
summary = "Looks for byte patterns in a guest's memory"
provides = ["vmsec.Inspection"]
needs = ["vmsec.MemoryAccess", "vmsec.DomainControl"]
)");
