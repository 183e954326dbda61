#pragma once

#include "sim_host.hpp"

namespace vmsec::sim {

class SimDomainControl final : public DomainControl {
 public:
  explicit SimDomainControl(SimHost& host) : host_(host) {}
  Result<DomainList> list(const Empty& request) override;
  Result<DomainInfo> get(const DomainRef& request) override;
  Result<Empty> pause(const DomainRef& request) override;
  Result<Empty> resume(const DomainRef& request) override;

 private:
  SimHost& host_;
};

}  // namespace vmsec::sim
