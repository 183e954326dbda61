#include "domain_control.hpp"

namespace vmsec::sim {

Result<DomainList> SimDomainControl::list(const Empty&) {
  VMSEC_CHECK(host_.faults().call("DomainControl.List"));
  return host_.list();
}

Result<DomainInfo> SimDomainControl::get(const DomainRef& request) {
  VMSEC_CHECK(host_.faults().call("DomainControl.Get"));
  return host_.info(request.domain);
}

Result<Empty> SimDomainControl::pause(const DomainRef& request) {
  VMSEC_CHECK(host_.faults().call("DomainControl.Pause"));
  VMSEC_CHECK(host_.pause(request.domain));
  return Empty{};
}

Result<Empty> SimDomainControl::resume(const DomainRef& request) {
  VMSEC_CHECK(host_.faults().call("DomainControl.Resume"));
  VMSEC_CHECK(host_.resume(request.domain));
  return Empty{};
}

}  // namespace vmsec::sim
