#include "metrics.hpp"

#include <array>
#include <cstdio>
#include <functional>

namespace vmsec::daemon {
namespace {

using tools::Reading;
using Labels = std::vector<std::pair<std::string_view, std::string>>;

// Backslash, quote and newline are escaped.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out + "\"";
}

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.15g", value);
  return text.data();
}

class Writer {
 public:
  // All samples of one metric stand together behind its head.
  void head(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += "# HELP " + name_ + " " + std::string(help) + "\n# TYPE " + name_ + " " + std::string(type) + "\n";
  }
  void sample(const Labels& labels, double value) {
    text_ += name_;
    for (std::size_t i = 0; i < labels.size(); ++i)
      text_ += (i == 0 ? "{" : ",") + std::string(labels[i].first) + "=" + quoted(labels[i].second);
    text_ += (labels.empty() ? " " : "} ") + number(value) + "\n";
  }
  std::string text() && { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
};

Labels vm_labels(const Reading& reading) {
  return {{"vm", reading.domain.name}, {"uuid", reading.domain.domain.text()}};
}

Labels device_labels(const Reading& reading, const std::string& target) {
  auto labels = vm_labels(reading);
  labels.emplace_back("device", target);
  return labels;
}

void write_agent(Writer& out, const HostInfo& host, bool reached) {
  out.head("vmsec_build_info", "gauge", "The agent's version and hypervisor; always 1.");
  out.sample({{"version", host.version}, {"backend", host.backend}, {"host", host.name}}, 1);
  out.head("vmsec_hypervisor_up", "gauge", "Whether the hypervisor answered this time.");
  out.sample({}, reached ? 1 : 0);
  out.head("vmsec_policy_in_force", "gauge", "Whether a policy is in force.");
  out.sample({{"digest", host.policy_digest}}, host.policy_in_force.empty() ? 0 : 1);
  out.head("vmsec_module_running", "gauge", "Whether the module runs, and does not wait to be started again.");
  for (const auto& module : host.modules)
    if (!module.carrier.empty())
      out.sample({{"module", module.name}, {"version", module.version}}, module.state == "running" ? 1 : 0);
  out.head("vmsec_module_restarts_total", "counter", "How often the module's process was started again.");
  for (const auto& module : host.modules)
    if (!module.carrier.empty()) out.sample({{"module", module.name}}, module.restarts);
}

constexpr std::array kStates = {std::pair(DomainState::running, "running"), std::pair(DomainState::paused, "paused"),
                                std::pair(DomainState::shut_off, "shut_off"),
                                std::pair(DomainState::crashed, "crashed")};

void write_vms(Writer& out, const std::vector<Reading>& all) {
  out.head("vmsec_vm_state", "gauge", "1 for the state that the VM is in.");
  for (const auto& each : all)
    for (const auto& [state, name] : kStates) {
      auto labels = vm_labels(each);
      labels.emplace_back("state", name);
      out.sample(labels, each.domain.state == state ? 1 : 0);
    }
  out.head("vmsec_vm_read_error", "gauge", "1: a part of what is told of it could not be read this time.");
  for (const auto& each : all) out.sample(vm_labels(each), each.trouble ? 1 : 0);
  out.head("vmsec_vm_vcpus", "gauge", "Virtual CPUs that the VM has now.");
  for (const auto& each : all) out.sample(vm_labels(each), each.domain.vcpus);
  out.head("vmsec_vm_cpu_seconds_total", "counter", "CPU time of all its virtual CPUs since it started.");
  for (const auto& each : all) out.sample(vm_labels(each), static_cast<double>(each.domain.cpu_time.value) / 1e6);
  out.head("vmsec_vm_cpu_steal_seconds_total", "counter",
           "Time that its virtual CPUs were ready and kept from running.");
  for (const auto& each : all)
    if (each.domain.cpu_steal) out.sample(vm_labels(each), static_cast<double>(each.domain.cpu_steal->value) / 1e6);
  out.head("vmsec_vm_memory_bytes", "gauge", "Memory that the guest has now.");
  for (const auto& each : all) out.sample(vm_labels(each), static_cast<double>(each.domain.memory.value));
}

// Bounds that are set; one that is not has no sample.
void write_resource_limits(Writer& out, const std::vector<Reading>& all) {
  out.head("vmsec_vm_cpu_limit_cores", "gauge", "Upper bound of its CPU use, in host CPUs.");
  for (const auto& each : all)
    if (each.resources && each.resources->cpu_quota_millis.value_or(0) != 0)
      out.sample(vm_labels(each), *each.resources->cpu_quota_millis / 1000.0);
  out.head("vmsec_vm_memory_limit_bytes", "gauge", "Upper bound of the host memory that it may take.");
  for (const auto& each : all)
    if (each.resources && each.resources->memory_limit.value_or(Bytes{}).value != 0)
      out.sample(vm_labels(each), static_cast<double>(each.resources->memory_limit->value));
}

struct Counter {
  std::string_view name;
  std::string_view help;
  double (*value)(const IoCounters&);
};

void write_counters(Writer& out, const std::vector<Reading>& all, const Counter& counter,
                    std::vector<IoCounters> IoStatistics::* devices) {
  out.head(counter.name, "counter", counter.help);
  for (const auto& each : all)
    if (each.counters)
      for (const auto& device : (*each.counters).*devices)
        out.sample(device_labels(each, device.target), counter.value(device));
}

template <class Limit>
struct Bound {
  std::string_view name;
  std::string_view help;
  double (*value)(const Limit&);
};

template <class Limit>
void write_limits(Writer& out, const std::vector<Reading>& all, const Bound<Limit>& bound,
                  std::vector<Limit> IoLimits::* devices) {
  out.head(bound.name, "gauge", bound.help);
  for (const auto& each : all)
    if (each.limits)
      for (const auto& device : (*each.limits).*devices)
        if (const double value = bound.value(device); value != 0) out.sample(device_labels(each, device.target), value);
}

double in_bytes(const IoCounters& device) { return static_cast<double>(device.read.value); }
double out_bytes(const IoCounters& device) { return static_cast<double>(device.written.value); }
double in_ops(const IoCounters& device) { return static_cast<double>(device.read_ops); }
double out_ops(const IoCounters& device) { return static_cast<double>(device.write_ops); }

void write_disks(Writer& out, const std::vector<Reading>& all) {
  for (const auto& counter : {Counter{"vmsec_vm_disk_read_bytes_total", "Bytes read from the disk.", in_bytes},
                              Counter{"vmsec_vm_disk_written_bytes_total", "Bytes written to the disk.", out_bytes},
                              Counter{"vmsec_vm_disk_reads_total", "Reads from the disk.", in_ops},
                              Counter{"vmsec_vm_disk_writes_total", "Writes to the disk.", out_ops}})
    write_counters(out, all, counter, &IoStatistics::disks);
  using DiskBound = Bound<DiskLimit>;
  for (const auto& bound : {DiskBound{"vmsec_vm_disk_read_limit_bytes_per_second", "Bound of the disk's reads.",
                                      [](const DiskLimit& limit) { return static_cast<double>(limit.read.value); }},
                            DiskBound{"vmsec_vm_disk_write_limit_bytes_per_second", "Bound of the disk's writes.",
                                      [](const DiskLimit& limit) { return static_cast<double>(limit.write.value); }}})
    write_limits(out, all, bound, &IoLimits::disks);
}

void write_nics(Writer& out, const std::vector<Reading>& all) {
  for (const auto& counter :
       {Counter{"vmsec_vm_nic_received_bytes_total", "Bytes that the guest received.", in_bytes},
        Counter{"vmsec_vm_nic_transmitted_bytes_total", "Bytes that the guest transmitted.", out_bytes},
        Counter{"vmsec_vm_nic_received_packets_total", "Packets that the guest received.", in_ops},
        Counter{"vmsec_vm_nic_transmitted_packets_total", "Packets that the guest transmitted.", out_ops}})
    write_counters(out, all, counter, &IoStatistics::nics);
  using NicBound = Bound<NicLimit>;
  for (const auto& bound :
       {NicBound{"vmsec_vm_nic_receive_limit_bytes_per_second", "Bound of what the guest receives.",
                 [](const NicLimit& limit) { return static_cast<double>(limit.receive.value); }},
        NicBound{"vmsec_vm_nic_transmit_limit_bytes_per_second", "Bound of what the guest transmits.",
                 [](const NicLimit& limit) { return static_cast<double>(limit.transmit.value); }}})
    write_limits(out, all, bound, &IoLimits::nics);
}

}  // namespace

std::string metrics_text(const HostInfo& host, const Result<std::vector<Reading>>& readings) {
  Writer out;
  write_agent(out, host, readings.has_value());
  if (readings) {
    write_vms(out, *readings);
    write_resource_limits(out, *readings);
    write_disks(out, *readings);
    write_nics(out, *readings);
  }
  return std::move(out).text();
}

}  // namespace vmsec::daemon
