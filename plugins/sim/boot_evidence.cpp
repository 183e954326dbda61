#include "boot_evidence.hpp"

namespace vmsec::sim {

Result<HostEvidence> SimBootEvidence::host(const Empty&) {
  constexpr std::size_t kLogMaximum = 16 << 20;
  VMSEC_CHECK(host_.faults().call("BootEvidence.Host"));
  if (tcti_.empty())
    return fail(Code::unsupported, "get boot evidence: simulated host " + host_.settings().name + " has no TPM");
  HostEvidence evidence{tcti_, {}, {}};
  const auto read = [](const std::string& path, std::string& into) -> Status {
    if (path.empty()) return {};
    auto text = read_file(path, kLogMaximum);
    if (!text) return fail(text.error().in("get boot evidence"));
    into = std::move(*text);
    return {};
  };
  VMSEC_CHECK(read(event_log_, evidence.event_log));
  VMSEC_CHECK(read(ima_list_, evidence.ima_list));
  VMSEC_CHECK(read(module_log_, evidence.module_log));
  return evidence;
}

}  // namespace vmsec::sim
