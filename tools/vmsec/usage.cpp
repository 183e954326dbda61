#include "usage.hpp"

#include <algorithm>

namespace vmsec::cli {
namespace {

template <class List>
auto find_target(const List& list, const std::string& target) {
  const auto found =
      std::ranges::find(list, target, [](const auto& each) -> const std::string& { return each.target; });
  return found == list.end() ? nullptr : &*found;
}

double per_second(std::uint64_t before, std::uint64_t now, double seconds) {
  return static_cast<double>(now - before) / seconds;
}

std::vector<DeviceUsage> rates_of(const std::vector<IoCounters>& before, const std::vector<IoCounters>& now,
                                  double seconds) {
  std::vector<DeviceUsage> out;
  for (const auto& is : now) {
    const auto* was = find_target(before, is.target);
    DeviceUsage usage;
    usage.target = is.target;
    // A device that was plugged in between has no rate yet; counters that went back are another device's.
    if (was != nullptr && was->read <= is.read && was->written <= is.written && was->read_ops <= is.read_ops &&
        was->write_ops <= is.write_ops) {
      usage.in.rate = per_second(was->read.value, is.read.value, seconds);
      usage.out.rate = per_second(was->written.value, is.written.value, seconds);
      usage.in_ops = per_second(was->read_ops, is.read_ops, seconds);
      usage.out_ops = per_second(was->write_ops, is.write_ops, seconds);
    }
    out.push_back(std::move(usage));
  }
  return out;
}

void add_limits(Usage& usage, const IoLimits& limits) {
  for (auto& disk : usage.disks)
    if (const auto* limit = find_target(limits.disks, disk.target)) {
      disk.in.limit = static_cast<double>(limit->read.value);
      disk.out.limit = static_cast<double>(limit->write.value);
    }
  for (auto& nic : usage.nics)
    if (const auto* limit = find_target(limits.nics, nic.target)) {
      nic.in.limit = static_cast<double>(limit->receive.value);
      nic.out.limit = static_cast<double>(limit->transmit.value);
    }
}

double between(SteadyTime before, SteadyTime now) { return std::chrono::duration<double>(now - before).count(); }

// One that was started anew counts from zero; one that does not run counts nothing.
bool runs(const Reading& reading) { return reading.domain.state != DomainState::shut_off; }

double total(const std::vector<DeviceUsage>& devices, Flow DeviceUsage::* direction) {
  double sum = 0;
  for (const auto& device : devices) sum += (device.*direction).rate;
  return sum;
}

std::optional<double> pressure(const std::vector<DeviceUsage>& devices, Flow DeviceUsage::* direction) {
  std::optional<double> most;
  for (const auto& device : devices) {
    const Flow& flow = device.*direction;
    if (flow.limit > 0) most = std::max(most.value_or(0), flow.rate / flow.limit);
  }
  return most;
}

}  // namespace

Usage usage_of(const Reading* before, const Reading& now) {
  Usage usage;
  usage.domain = now.domain;
  usage.trouble = now.trouble;
  if (now.resources && now.resources->cpu_quota_millis) usage.cpu.limit = *now.resources->cpu_quota_millis;
  const std::vector<IoCounters> none;
  const double seconds = before == nullptr ? 0 : between(before->time, now.time);
  const double counted = before == nullptr ? 0 : between(before->counted, now.counted);
  usage.measured = seconds > 0 && runs(*before) && runs(now) && before->domain.cpu_time <= now.domain.cpu_time;
  const bool rates = usage.measured && counted > 0 && before->counters;
  if (usage.measured)
    usage.cpu.rate = per_second(before->domain.cpu_time.value, now.domain.cpu_time.value, seconds) / 1000;
  if (usage.measured && before->domain.cpu_steal && now.domain.cpu_steal >= before->domain.cpu_steal)
    usage.steal = per_second(before->domain.cpu_steal->value, now.domain.cpu_steal->value, seconds) / 1000;
  if (now.counters) {
    usage.disks = rates_of(rates ? before->counters->disks : none, now.counters->disks, counted);
    usage.nics = rates_of(rates ? before->counters->nics : none, now.counters->nics, counted);
  }
  if (now.limits) add_limits(usage, *now.limits);
  return usage;
}

std::vector<Usage> usage_of(const std::vector<Reading>& before, const std::vector<Reading>& now) {
  std::vector<Usage> out;
  for (const auto& reading : now) {
    const auto was =
        std::ranges::find(before, reading.domain.domain, [](const Reading& each) { return each.domain.domain; });
    out.push_back(usage_of(was == before.end() ? nullptr : &*was, reading));
  }
  return out;
}

double total_in(const std::vector<DeviceUsage>& devices) { return total(devices, &DeviceUsage::in); }
double total_out(const std::vector<DeviceUsage>& devices) { return total(devices, &DeviceUsage::out); }
std::optional<double> pressure_in(const std::vector<DeviceUsage>& devices) {
  return pressure(devices, &DeviceUsage::in);
}
std::optional<double> pressure_out(const std::vector<DeviceUsage>& devices) {
  return pressure(devices, &DeviceUsage::out);
}

}  // namespace vmsec::cli
