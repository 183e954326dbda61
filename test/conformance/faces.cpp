// The interfaces that the suite asks for, in one place: a face is all of an interface's methods, and what compilers
// make of them takes seconds.
#include "fixture.hpp"
#include "vmsec/capability/boot_evidence.hpp"
#include "vmsec/capability/events.hpp"
#include "vmsec/capability/interchange.hpp"
#include "vmsec/capability/io_control.hpp"
#include "vmsec/capability/memory_access.hpp"
#include "vmsec/capability/migration.hpp"
#include "vmsec/service/enforcement.hpp"
#include "vmsec/service/host_control.hpp"
#include "vmsec/service/migrator.hpp"

namespace vmsec::conformance {

template <class I>
std::unique_ptr<I> Fixture::open_a() {
  return face_a_->open<I>();
}
template <class I>
std::unique_ptr<I> Fixture::open_b() {
  return face_b_->open<I>();
}
template <class I>
std::unique_ptr<I> Fixture::module_of_a(const std::string& module) {
  return a_->open<I>(module + ":" + std::string(Methods<I>::kName));
}

template std::unique_ptr<BootEvidence> Fixture::open_a();
template std::unique_ptr<DomainControl> Fixture::open_a();
template std::unique_ptr<Events> Fixture::open_a();
template std::unique_ptr<HostControl> Fixture::open_a();
template std::unique_ptr<Interchange> Fixture::open_a();
template std::unique_ptr<IoControl> Fixture::open_a();
template std::unique_ptr<MemoryAccess> Fixture::open_a();
template std::unique_ptr<Migration> Fixture::open_a();
template std::unique_ptr<Migrator> Fixture::open_a();
template std::unique_ptr<ResourceControl> Fixture::open_a();
template std::unique_ptr<DomainControl> Fixture::open_b();
template std::unique_ptr<Migration> Fixture::open_b();
template std::unique_ptr<ResourceControl> Fixture::open_b();
template std::unique_ptr<Enforcement> Fixture::module_of_a(const std::string&);

}  // namespace vmsec::conformance
