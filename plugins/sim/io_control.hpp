#pragma once

#include "sim_host.hpp"

namespace vmsec::sim {

class SimIoControl final : public IoControl {
 public:
  explicit SimIoControl(SimHost& host) : host_(host) {}
  Result<IoLimits> get(const DomainRef& request) override;
  Result<Empty> set_disk(const SetDiskLimit& request) override;
  Result<Empty> set_nic(const SetNicLimit& request) override;
  Result<IoStatistics> statistics(const DomainRef& request) override;

 private:
  SimHost& host_;
};

}  // namespace vmsec::sim
