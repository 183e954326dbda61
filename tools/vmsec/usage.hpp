// What VMs use, a second: the difference of two readings of their counters.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/readings.hpp"

namespace vmsec::cli {

using tools::Reading;
using tools::SteadyTime;

// A rate and its bound; 0: none is set.
struct Flow {
  double rate = 0;
  double limit = 0;
};

struct DeviceUsage {
  std::string target;
  Flow in;   // bytes/s: read, received
  Flow out;  // written, transmitted
  double in_ops = 0;
  double out_ops = 0;
};

struct Usage {
  DomainInfo domain;
  bool measured = false;        // two readings of the same run: else the rates below say nothing
  Flow cpu;                     // thousandths of a host CPU
  std::optional<double> steal;  // the same; nullopt: the hypervisor does not tell
  std::vector<DeviceUsage> disks;
  std::vector<DeviceUsage> nics;
  std::optional<Error> trouble;  // a part of it could not be read this time
};

// `before`: of the same VM; nullptr where there is none.
Usage usage_of(const Reading* before, const Reading& now);
std::vector<Usage> usage_of(const std::vector<Reading>& before, const std::vector<Reading>& now);

// Of all devices together, bytes/s.
double total_in(const std::vector<DeviceUsage>& devices);
double total_out(const std::vector<DeviceUsage>& devices);
// How much of its limit the busiest device uses, 0 to 1 and a little beyond; nullopt: none has one.
std::optional<double> pressure_in(const std::vector<DeviceUsage>& devices);
std::optional<double> pressure_out(const std::vector<DeviceUsage>& devices);

}  // namespace vmsec::cli
