// The interfaces that commands use, in one place: a face is all of an interface's methods, and what compilers make of
// them takes seconds.
#include "context.hpp"
#include "vmsec/capability/events.hpp"
#include "vmsec/capability/interchange.hpp"
#include "vmsec/capability/io_control.hpp"
#include "vmsec/capability/resource_control.hpp"
#include "vmsec/service/attestation.hpp"
#include "vmsec/service/guest_attestation.hpp"
#include "vmsec/service/host_control.hpp"
#include "vmsec/service/migrator.hpp"

namespace vmsec::cli {

template <class I>
Result<std::unique_ptr<I>> Context::open() {
  VMSEC_TRY(const auto way, control());
  return way->template open<I>();
}

template Result<std::unique_ptr<Attestation>> Context::open();
template Result<std::unique_ptr<DomainControl>> Context::open();
template Result<std::unique_ptr<Events>> Context::open();
template Result<std::unique_ptr<GuestAttestation>> Context::open();
template Result<std::unique_ptr<HostControl>> Context::open();
template Result<std::unique_ptr<Interchange>> Context::open();
template Result<std::unique_ptr<IoControl>> Context::open();
template Result<std::unique_ptr<Migrator>> Context::open();
template Result<std::unique_ptr<ResourceControl>> Context::open();

}  // namespace vmsec::cli
