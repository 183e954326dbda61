// What vmsecd tells a monitoring system: counters and limits of each VM, and the agent's own state, in the text format
// of Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/).
#pragma once

#include <string>
#include <vector>

#include "common/readings.hpp"
#include "vmsec/service/host_control.hpp"

namespace vmsec::daemon {

// Base units, as the format's conventions have it: seconds, bytes.
std::string metrics_text(const HostInfo& host, const Result<std::vector<tools::Reading>>& readings);

}  // namespace vmsec::daemon
