// vmsec vm limits, vm stats: the bounds that are in force, read back from the hypervisor, and what was used.
#include "commands/commands.hpp"
#include "output.hpp"
#include "vmsec/capability/io_control.hpp"
#include "vmsec/capability/resource_control.hpp"
#include "vmsec/units.hpp"

namespace vmsec::cli {
namespace {

// What a backend answers for a part; a part that it does not have is no failure.
template <class T>
struct Part {
  std::optional<T> value;
  std::string unsupported;
};

template <class T>
Result<Part<T>> part_of(Result<T> answer) {
  if (answer) return Part<T>{std::move(*answer), {}};
  if (answer.error().code == Code::unsupported) return Part<T>{std::nullopt, answer.error().message};
  return fail(answer.error());
}

template <class Q>
std::string limit_text(Q value) {
  return value.value == 0 ? "unlimited" : to_text(value);
}

std::string numbers(const std::vector<std::uint32_t>& list) {
  std::string out;
  for (const auto number : list) out += (out.empty() ? "" : ",") + std::to_string(number);
  return out.empty() ? "all" : out;
}

void print_resources(const Part<ResourceLimits>& part) {
  if (!part.value) {
    std::printf("CPU and memory: %s\n", part.unsupported.c_str());
    return;
  }
  const ResourceLimits& limits = *part.value;
  const std::string none = "not on this hypervisor";
  std::vector<Fact> facts;
  facts.push_back({"CPU weight", limits.cpu_weight ? std::to_string(*limits.cpu_weight) : none});
  facts.push_back({"CPU quota", limits.cpu_quota_millis ? limit_text(PerMille{*limits.cpu_quota_millis}) : none});
  facts.push_back({"memory limit", limits.memory_limit ? limit_text(*limits.memory_limit) : none});
  facts.push_back({"vCPUs", limits.vcpus ? std::to_string(*limits.vcpus) : none});
  for (const auto& pin : limits.pins)
    facts.push_back({"vCPU " + std::to_string(pin.vcpu) + " on CPUs", numbers(pin.cpus)});
  print_facts(facts);
}

void print_io(const Part<IoLimits>& part) {
  if (!part.value) {
    std::printf("disks and NICs: %s\n", part.unsupported.c_str());
    return;
  }
  if (!part.value->disks.empty()) {
    std::puts("");
    Table table({"DISK", "READ", "WRITE", "READ OPS", "WRITE OPS", "READ BURST", "WRITE BURST", "FOR"});
    for (const auto& disk : part.value->disks)
      table.add({disk.target, limit_text(disk.read), limit_text(disk.write), limit_text(disk.read_ops),
                 limit_text(disk.write_ops), disk.read_burst.value == 0 ? "-" : to_text(disk.read_burst),
                 disk.write_burst.value == 0 ? "-" : to_text(disk.write_burst),
                 disk.burst_seconds == 0 ? "-" : std::to_string(disk.burst_seconds) + " s"});
    table.print();
  }
  if (!part.value->nics.empty()) {
    std::puts("");
    Table table({"NIC", "RECEIVE", "TRANSMIT"});
    for (const auto& nic : part.value->nics) table.add({nic.target, limit_text(nic.receive), limit_text(nic.transmit)});
    table.print();
  }
}

// What is not bounded is null: 0 would be a bound.
void zero_to_null(Json& json) {
  for (auto& value : json) {
    if (value.is_structured())
      zero_to_null(value);
    else if (value.is_number() && value == 0)
      value = nullptr;
  }
}

Json part_json(const ResourceLimits& limits) {
  Json json = to_json(limits);
  for (const auto* bound : {"cpu_quota_millis", "memory_limit"})
    if (json[bound] == 0) json[bound] = nullptr;
  return json;
}

Json part_json(const IoLimits& limits) {
  Json json = to_json(limits);
  zero_to_null(json);
  return json;
}

Json part_json(const IoStatistics& counters) { return to_json(counters); }

// The fields of a part beside the VM's name; where the part is missing, why.
template <class T>
void add_part(Json& json, const char* name, const Part<T>& part) {
  if (part.value)
    json.update(part_json(*part.value));
  else
    json["unsupported"][name] = part.unsupported;
}

Ending limits(Context& context, const std::string& vm) {
  VMSEC_TRY(const auto domains, context.open<DomainControl>());
  VMSEC_TRY(const auto domain, find_domain(*domains, vm));
  VMSEC_TRY(const auto resources, context.open<ResourceControl>());
  VMSEC_TRY(const auto io, context.open<IoControl>());
  VMSEC_TRY(const auto cpu_and_memory, part_of(resources->get(DomainRef{domain.domain})));
  VMSEC_TRY(const auto devices, part_of(io->get(DomainRef{domain.domain})));
  if (context.options.json) {
    Json json = {{"domain", domain.domain.text()}, {"name", domain.name}};
    add_part(json, "resources", cpu_and_memory);
    add_part(json, "io", devices);
    Context::print_json(json);
    return Exit::ok;
  }
  print_resources(cpu_and_memory);
  print_io(devices);
  return Exit::ok;
}

void print_counters(const Part<IoStatistics>& part) {
  if (!part.value) {
    std::printf("disks and NICs: %s\n", part.unsupported.c_str());
    return;
  }
  Table table({"DEVICE", "READ", "WRITTEN", "READ OPS", "WRITE OPS"});
  for (const auto* list : {&part.value->disks, &part.value->nics})
    for (const auto& device : *list)
      table.add({device.target, human(device.read), human(device.written), std::to_string(device.read_ops),
                 std::to_string(device.write_ops)});
  std::puts("");
  table.print();
}

Ending statistics(Context& context, const std::string& vm) {
  VMSEC_TRY(const auto domains, context.open<DomainControl>());
  VMSEC_TRY(const auto domain, find_domain(*domains, vm));
  VMSEC_TRY(const auto io, context.open<IoControl>());
  VMSEC_TRY(const auto counters, part_of(io->statistics(DomainRef{domain.domain})));
  if (context.options.json) {
    Json json = {{"domain", domain.domain.text()},
                 {"name", domain.name},
                 {"cpu_time", domain.cpu_time.value},
                 {"memory", domain.memory.value}};
    add_part(json, "io", counters);
    Context::print_json(json);
    return Exit::ok;
  }
  print_facts({{"CPU time", human(domain.cpu_time)}, {"memory", human(domain.memory)}});
  print_counters(counters);
  return Exit::ok;
}

}  // namespace

void add_vm_limits(CLI::App& vm, Context& context) {
  auto name = std::make_shared<std::string>();
  auto* limits_command = vm.add_subcommand("limits", "The limits in force, read back from the hypervisor");
  limits_command->add_option("VM", *name, "Its name or UUID")->required();
  limits_command->footer("Examples:\n  vmsec vm limits web-1\n  vmsec vm limits web-1 --json");
  context.on(limits_command, [&context, name] { return limits(context, *name); });
  auto* stats = vm.add_subcommand("stats", "CPU time, and what disks and NICs moved since the VM started");
  stats->add_option("VM", *name, "Its name or UUID")->required();
  stats->footer("Examples:\n  vmsec vm stats web-1\n  vmsec vm stats web-1 --json");
  context.on(stats, [&context, name] { return statistics(context, *name); });
}

}  // namespace vmsec::cli
