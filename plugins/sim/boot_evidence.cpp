#include "boot_evidence.hpp"

namespace vmsec::sim {

Result<HostEvidence> SimBootEvidence::host(const Empty&) {
  constexpr std::size_t kLogMaximum = 16 << 20;
  VMSEC_CHECK(host_.faults().call("BootEvidence.Host"));
  if (tcti_.empty())
    return fail(Code::unsupported, "get boot evidence: simulated host " + host_.settings().name + " has no TPM");
  HostEvidence evidence{tcti_, {}, {}};
  if (!module_log_.empty()) {
    auto modules = read_file(module_log_, kLogMaximum);
    if (!modules) return fail(modules.error().in("get boot evidence"));
    evidence.module_log = std::move(*modules);
  }
  if (event_log_.empty()) return evidence;
  auto log = read_file(event_log_, kLogMaximum);
  if (!log) return fail(log.error().in("get boot evidence"));
  evidence.event_log = std::move(*log);
  return evidence;
}

}  // namespace vmsec::sim
