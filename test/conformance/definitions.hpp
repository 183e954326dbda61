// Domains that the checks define on host a, and take away again.
#pragma once

#include "fixture.hpp"
#include "lessened.hpp"
#include "suite.hpp"

namespace vmsec::conformance {

// A definition that this host could define: its disk, kernel and bridge are those of the fixture. Two vCPUs, one disk,
// one NIC.
DomainDefinition new_definition(const Fixture& fixture, unsigned number = 1);
// With all that one hypervisor or another cannot have.
DomainDefinition rich_definition(const Fixture& fixture, unsigned number = 1);
// What of it this hypervisor can have: a definition without losses.
Result<DomainDefinition> plain(Fixture& fixture, const DomainDefinition& definition);
inline Result<DomainDefinition> new_plain(Fixture& fixture, unsigned number = 1) {
  return plain(fixture, new_definition(fixture, number));
}
// The same without devices, which take a hypervisor longer than the rest: for what is not about them.
inline Result<DomainDefinition> new_bare(Fixture& fixture, unsigned number = 1) {
  DomainDefinition definition = new_definition(fixture, number);
  definition.disks.clear();
  definition.nics.clear();
  return plain(fixture, definition);
}

// Defines; at its end there is no such domain, whatever became of it. Goes around what is muted.
class Defined {
 public:
  Defined(Fixture& fixture, const Uuid& domain) : fixture_(fixture), domain_(domain) {}
  ~Defined();
  Defined(const Defined&) = delete;
  Defined& operator=(const Defined&) = delete;

 private:
  Fixture& fixture_;
  const Uuid domain_;
};

// Ends a domain that runs: by what ends a migration's copy, as nothing else in the contracts does.
Status destroy(Control& host, const Uuid& domain);

bool is_there(Fixture& fixture, const Uuid& domain);

}  // namespace vmsec::conformance
