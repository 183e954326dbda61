// Small questions to one libvirt domain that several capabilities ask.
#pragma once

#include <string>

#include "connection.hpp"
#include "domain_xml.hpp"
#include "vmsec/capability/domain_control.hpp"

namespace vmsec::kvm {

DomainState state_of(int libvirt_state);
Result<DomainState> state_of(virDomainPtr domain, std::string_view operation);
// Running or paused; `wrong_state` otherwise.
Status require_active(virDomainPtr domain, std::string_view operation);
// The XML of now (a running domain's live one).
Result<DomainXml> xml_of(virDomainPtr domain, std::string_view operation);
std::string name_of(virDomainPtr domain);
// AFFECT_LIVE, and CONFIG as well for a persistent domain: so a limit survives a
// restart and travels with the definition.
Result<unsigned int> affect_flags(virDomainPtr domain, std::string_view operation);

}  // namespace vmsec::kvm
