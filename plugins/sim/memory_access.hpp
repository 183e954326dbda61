#pragma once

#include "sim_host.hpp"
#include "vmsec/capability/memory_access.hpp"

namespace vmsec::sim {

class SimMemoryAccess final : public MemoryAccess {
 public:
  explicit SimMemoryAccess(SimHost& host) : host_(host) {}
  Result<MemoryMap> map(const DomainRef& request) override;
  Result<MemoryBytes> read(const ReadMemory& request) override;

 private:
  SimHost& host_;
};

}  // namespace vmsec::sim
