#pragma once

#include "sim_host.hpp"
#include "vmsec/capability/interchange.hpp"

namespace vmsec::sim {

class SimInterchange final : public Interchange {
 public:
  explicit SimInterchange(SimHost& host) : host_(host) {}
  Result<Translation> translate(const DomainDefinition& request) override;
  Result<DomainRef> define(const DefineDomain& request) override;
  Result<Empty> start(const DomainRef& request) override;
  Result<Empty> undefine(const DomainRef& request) override;
  Result<ExportedDomain> export_domain(const DomainRef& request) override;

 private:
  SimHost& host_;
};

}  // namespace vmsec::sim
