// Reads what monitoring asks for, apart from who asks: however often they do, and whatever the hypervisor does.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/readings.hpp"
#include "vmsec/service/host_control.hpp"

namespace vmsec::daemon {

struct CollectorTimes {
  std::chrono::milliseconds fresh{1000};     // what was read before that is read anew
  std::chrono::milliseconds patience{5000};  // for a hypervisor that does not answer
};

class Collector {
 public:
  using Agent = std::function<Result<HostInfo>()>;
  using Read = std::function<Result<std::vector<tools::Reading>>()>;

  // Both are called one at a time: `agent` by who asks for text(), `read` from a thread of its own, which the end of
  // this object waits for a moment only: what `read` needs, it keeps alive by itself.
  Collector(Agent agent, Read read, CollectorTimes times = {});
  ~Collector();
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  // Any thread. What was read a moment ago, or is read now. A hypervisor that does not answer in time has no VMs in
  // it, and vmsec_hypervisor_up is 0.
  Result<std::string> text();

 private:
  struct Shared;
  static void work(const std::shared_ptr<Shared>& shared);

  const Agent agent_;
  const CollectorTimes times_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace vmsec::daemon
