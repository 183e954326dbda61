// vmsec vm: list, show, pause, resume.
#include "commands/commands.hpp"
#include "output.hpp"

namespace vmsec::cli {
namespace {

std::string state_text(DomainState state) {
  const std::string text(name_of(state));
  if (state == DomainState::running) return coloured(Colour::green, text);
  if (state == DomainState::crashed) return coloured(Colour::red, text);
  return state == DomainState::paused ? coloured(Colour::yellow, text) : text;
}

void print_list(const DomainList& list) {
  Table table({"NAME", "UUID", "STATE", "VCPUS", "MEMORY", "CPU TIME"});
  for (const auto& domain : list.domains)
    table.add({domain.name, domain.domain.text(), state_text(domain.state), std::to_string(domain.vcpus),
               human(domain.memory), human(domain.cpu_time)});
  table.print();
}

void print_domain(const DomainInfo& domain) {
  print_facts({{"name", domain.name},
               {"UUID", domain.domain.text()},
               {"state", state_text(domain.state)},
               {"vCPUs", std::to_string(domain.vcpus) + " of " + std::to_string(domain.vcpus_maximum)},
               {"memory", human(domain.memory) + " of " + human(domain.memory_maximum)},
               {"CPU time", human(domain.cpu_time)},
               {"persistent", domain.persistent ? "yes" : "no"},
               {"virtual TPM", domain.tpm ? "yes" : "no"},
               {"tags", joined(domain.tags, "none")}});
  if (!domain.disks.empty()) {
    std::puts("");
    Table table({"DISK", "SOURCE", "CAPACITY"});
    for (const auto& disk : domain.disks) table.add({disk.target, disk.source, human(disk.capacity)});
    table.print();
  }
  if (!domain.nics.empty()) {
    std::puts("");
    Table table({"NIC", "MAC"});
    for (const auto& nic : domain.nics) table.add({nic.target, nic.mac});
    table.print();
  }
}

Ending list_vms(Context& context) {
  VMSEC_TRY(const auto domains, context.open<DomainControl>());
  VMSEC_TRY(const auto found, domains->list({}));
  context.print(found, print_list);
  return Exit::ok;
}

Ending show_vm(Context& context, const std::string& vm) {
  VMSEC_TRY(const auto domains, context.open<DomainControl>());
  VMSEC_TRY(const auto domain, find_domain(*domains, vm));
  context.print(domain, print_domain);
  return Exit::ok;
}

enum class Act { pause, resume };

Ending change(Context& context, const std::string& vm, Act act) {
  VMSEC_TRY(const auto domains, context.open<DomainControl>());
  VMSEC_TRY(const auto domain, find_domain(*domains, vm));
  const DomainRef ref{domain.domain};
  VMSEC_CHECK(act == Act::pause ? domains->pause(ref) : domains->resume(ref));
  VMSEC_TRY(const auto now, domains->get(ref));
  context.print(now, [](const DomainInfo& info) {
    std::printf("%s is %s\n", info.name.c_str(), std::string(name_of(info.state)).c_str());
  });
  return Exit::ok;
}

}  // namespace

void add_vm(CLI::App& app, Context& context) {
  auto* vm = app.add_subcommand("vm", "VMs: list, show, pause, resume, define, export, limits, events");
  vm->require_subcommand(1);
  vm->footer("A VM is named by its name or its UUID.\n\nExamples:\n  vmsec vm list\n  vmsec vm pause web-1");

  auto* list_command = vm->add_subcommand("list", "All VMs of this host");
  list_command->footer("Examples:\n  vmsec vm list\n  vmsec vm list --json");
  context.on(list_command, [&context] { return list_vms(context); });

  auto name = std::make_shared<std::string>();
  const auto with_name = [&](const char* command, const char* summary) {
    auto* added = vm->add_subcommand(command, summary);
    added->add_option("VM", *name, "Its name or UUID")->required();
    added->footer(std::string("Examples:\n  vmsec vm ") + command + " web-1\n  vmsec vm " + command +
                  " 5f0c2a4e-6a5b-4a3f-9d58-0f5b0a1c2d3e --json");
    return added;
  };
  context.on(with_name("show", "Everything about a VM"), [&context, name] { return show_vm(context, *name); });
  context.on(with_name("pause", "Stop its vCPUs; its memory stays"),
             [&context, name] { return change(context, *name, Act::pause); });
  context.on(with_name("resume", "Let its vCPUs go on"),
             [&context, name] { return change(context, *name, Act::resume); });
  add_vm_define(*vm, context);
  add_vm_limits(*vm, context);
  add_vm_events(*vm, context);
}

}  // namespace vmsec::cli
