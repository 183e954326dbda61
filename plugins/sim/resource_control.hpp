#pragma once

#include "sim_host.hpp"

namespace vmsec::sim {

class SimResourceControl final : public ResourceControl {
 public:
  explicit SimResourceControl(SimHost& host) : host_(host) {}
  Result<HostResources> host(const Empty& request) override;
  Result<ResourceLimits> get(const DomainRef& request) override;
  Result<Empty> set(const SetResources& request) override;

 private:
  Status edit(const DomainSpec& spec, const ResourceLimits& wanted, ResourceLimits& limits) const;

  SimHost& host_;
};

}  // namespace vmsec::sim
