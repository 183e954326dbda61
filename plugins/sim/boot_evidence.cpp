#include "boot_evidence.hpp"

#include "guest_port.hpp"

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

// There is no program in these guests: a test's takes the part of the agent.
Result<GuestReply> SimBootEvidence::guest(const GuestRequest& request) {
  VMSEC_CHECK(host_.faults().call("BootEvidence.Guest"));
  const std::string operation = "ask guest " + request.domain.text();
  if (host_.settings().guests.empty())
    return fail(Code::unsupported, operation + ": simulated guests run no agent (setting guests names none)");
  VMSEC_TRY(const auto machine, host_.machine(request.domain, "ask"));
  VMSEC_TRY(const auto turn, turns_.take(request.domain, std::chrono::milliseconds(request.timeout_ms)));
  auto port = common::connect_guest_port(host_.settings().guests + "/" + request.domain.text());
  if (!port) return fail(port.error().in(operation));
  auto reply = common::exchange(*port, request);
  if (!reply) return fail(reply.error().in(operation));
  return reply;
}

}  // namespace vmsec::sim
