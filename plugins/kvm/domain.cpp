#include "domain.hpp"

#include <cstdlib>

namespace vmsec::kvm {

DomainState state_of(int libvirt_state) {
  switch (libvirt_state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
    case VIR_DOMAIN_SHUTDOWN:  // on its way down, its vCPUs still run
      return DomainState::running;
    case VIR_DOMAIN_PAUSED:
    case VIR_DOMAIN_PMSUSPENDED:
      return DomainState::paused;
    case VIR_DOMAIN_SHUTOFF:
      return DomainState::shut_off;
    case VIR_DOMAIN_CRASHED:
      return DomainState::crashed;
    default:
      return DomainState::unknown;
  }
}

Result<DomainState> state_of(virDomainPtr domain, std::string_view operation) {
  int state = VIR_DOMAIN_NOSTATE;
  if (virDomainGetState(domain, &state, nullptr, 0) < 0) return fail(virt_error(operation));
  return state_of(state);
}

Status require_active(virDomainPtr domain, std::string_view operation) {
  VMSEC_TRY(const DomainState state, state_of(domain, operation));
  if (state == DomainState::running || state == DomainState::paused) return {};
  return fail(Code::wrong_state, std::string(operation) + ": " + name_of(domain) + " is not running");
}

Result<DomainXml> xml_of(virDomainPtr domain, std::string_view operation) {
  const std::unique_ptr<char, decltype(&std::free)> xml(virDomainGetXMLDesc(domain, 0), &std::free);
  if (xml == nullptr) return fail(virt_error(operation));
  auto parsed = parse_domain_xml(xml.get());
  if (!parsed) return fail(parsed.error().in(operation));
  return parsed;
}

std::string name_of(virDomainPtr domain) {
  const char* name = virDomainGetName(domain);
  return name == nullptr ? std::string("?") : std::string(name);
}

Result<unsigned int> affect_flags(virDomainPtr domain, std::string_view operation) {
  const int persistent = virDomainIsPersistent(domain);
  if (persistent < 0) return fail(virt_error(operation));
  return persistent == 1 ? VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG : VIR_DOMAIN_AFFECT_LIVE;
}

}  // namespace vmsec::kvm
