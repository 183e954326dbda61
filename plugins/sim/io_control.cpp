#include "io_control.hpp"

#include <algorithm>

namespace vmsec::sim {
namespace {

// What a device of the simulation could do at most.
constexpr std::uint64_t kBytesMaximum = 16'000'000'000;
constexpr std::uint64_t kOpsMaximum = 1'000'000;
constexpr std::uint32_t kBurstSecondsMaximum = 3600;

Status check_rate(const std::string& what, std::string_view field, std::uint64_t value, std::uint64_t most) {
  if (value <= most) return {};
  return fail(Code::limit_exceeded, what + ": " + std::string(field) + " " + std::to_string(value) +
                                        "/s exceeds the host's " + std::to_string(most) + "/s");
}

Status check_burst(const std::string& what, std::string_view field, BytesPerSecond rate, BytesPerSecond burst) {
  if (burst.value == 0) return {};
  if (rate.value == 0) return fail(Code::invalid_argument, what + ": a " + std::string(field) + " without a rate");
  if (burst < rate)
    return fail(Code::invalid_argument, what + ": the " + std::string(field) + " of " + std::to_string(burst.value) +
                                            " bytes/s is below the rate of " + std::to_string(rate.value));
  return check_rate(what, field, burst.value, kBytesMaximum);
}

Status check_disk(const std::string& what, const DiskLimit& limit) {
  VMSEC_CHECK(check_rate(what, "read", limit.read.value, kBytesMaximum));
  VMSEC_CHECK(check_rate(what, "write", limit.write.value, kBytesMaximum));
  VMSEC_CHECK(check_rate(what, "read_ops", limit.read_ops.value, kOpsMaximum));
  VMSEC_CHECK(check_rate(what, "write_ops", limit.write_ops.value, kOpsMaximum));
  VMSEC_CHECK(check_burst(what, "read burst", limit.read, limit.read_burst));
  VMSEC_CHECK(check_burst(what, "write burst", limit.write, limit.write_burst));
  const bool bursts = limit.read_burst.value != 0 || limit.write_burst.value != 0;
  if (limit.burst_seconds != 0 && !bursts)
    return fail(Code::invalid_argument, what + ": burst seconds without a burst");
  if (limit.burst_seconds > kBurstSecondsMaximum)
    return fail(Code::limit_exceeded, what + ": a burst of " + std::to_string(limit.burst_seconds) +
                                          " seconds exceeds " + std::to_string(kBurstSecondsMaximum));
  return {};
}

template <class Limit>
Status replace(std::vector<Limit>& limits, const Limit& limit, const std::string& what) {
  const auto place = std::ranges::find(limits, limit.target, &Limit::target);
  if (place == limits.end()) return fail(Code::not_found, what + ": the domain has no such device");
  *place = limit;
  return {};
}

}  // namespace

Result<IoLimits> SimIoControl::get(const DomainRef& request) {
  VMSEC_CHECK(host_.faults().call("IoControl.Get"));
  VMSEC_TRY(auto limits, host_.limits(request.domain, "get I/O limits of"));
  return limits.io;
}

Result<Empty> SimIoControl::set_disk(const SetDiskLimit& request) {
  VMSEC_CHECK(host_.faults().call("IoControl.SetDisk"));
  const auto edit = [&](const DomainSpec& spec, Limits& limits) -> Status {
    const std::string what = "set I/O limit on " + spec.name + "/" + request.limit.target;
    VMSEC_CHECK(check_disk(what, request.limit));
    return replace(limits.io.disks, request.limit, what);
  };
  VMSEC_CHECK(host_.change_limits(request.domain, "set I/O limit on", edit));
  return Empty{};
}

Result<Empty> SimIoControl::set_nic(const SetNicLimit& request) {
  VMSEC_CHECK(host_.faults().call("IoControl.SetNic"));
  const auto edit = [&](const DomainSpec& spec, Limits& limits) -> Status {
    const std::string what = "set network limit on " + spec.name + "/" + request.limit.target;
    VMSEC_CHECK(check_rate(what, "receive", request.limit.receive.value, kBytesMaximum));
    VMSEC_CHECK(check_rate(what, "transmit", request.limit.transmit.value, kBytesMaximum));
    return replace(limits.io.nics, request.limit, what);
  };
  VMSEC_CHECK(host_.change_limits(request.domain, "set network limit on", edit));
  return Empty{};
}

Result<IoStatistics> SimIoControl::statistics(const DomainRef& request) {
  VMSEC_CHECK(host_.faults().call("IoControl.Statistics"));
  VMSEC_TRY(auto machine, host_.machine(request.domain, "get I/O statistics of"));
  return machine->statistics();
}

}  // namespace vmsec::sim
