// vmsec grant: what modules may do, and taking it back at once.
#include <cstdlib>

#include "commands/commands.hpp"
#include "output.hpp"
#include "vmsec/service/host_control.hpp"

namespace vmsec::cli {
namespace {

std::string vms_of(const Withdrawal& withdrawal) {
  return withdrawal.tag.empty() ? "VM \"" + withdrawal.vm + "\"" : "tag \"" + withdrawal.tag + "\"";
}

void print_grants(const GrantList& list) {
  if (list.grants.empty()) std::puts("no policy is in force: no grants");
  if (!list.grants.empty()) {
    Table table({"MODULE", "ON", "INTERFACES"});
    for (const auto& each : list.grants) table.add({each.module, each.vms, joined(each.interfaces, "none")});
    table.print();
  }
  if (list.withdrawals.empty()) return;
  std::puts("\nwithdrawn until \"vmsec grant restore ID\":");
  print_withdrawals(list.withdrawals);
}

Ending list_grants(Context& context) {
  VMSEC_TRY(const auto host, context.open<HostControl>());
  VMSEC_TRY(const auto list, host->list_grants({}));
  context.print(list, print_grants);
  return Exit::ok;
}

Ending revoke(Context& context, const GrantRevocation& request) {
  VMSEC_TRY(const auto host, context.open<HostControl>());
  VMSEC_TRY(const auto done, host->revoke_grant(request));
  context.print(done, [](const Withdrawal& each) {
    std::printf("withdrawal %llu: module %s may no longer use %s on %s\n", static_cast<unsigned long long>(each.id),
                safe(each.module).c_str(), safe(joined(each.interfaces, "anything")).c_str(),
                safe(vms_of(each)).c_str());
    std::printf("VMs here: %s\n", safe(joined(each.domains, "none")).c_str());
    if (each.keeps_memory)
      std::fprintf(stderr, "vmsec: %s had mapped a guest's memory, and keeps that until its process ends\n",
                   safe(each.module).c_str());
  });
  return Exit::ok;
}

Ending restore(Context& context, const GrantRestoration& request) {
  VMSEC_TRY(const auto host, context.open<HostControl>());
  VMSEC_TRY(const auto done, host->restore_grant(request));
  context.print(done, [](const Withdrawal& each) {
    std::printf("withdrawal %llu has ended: for module %s on %s the policy decides again\n",
                static_cast<unsigned long long>(each.id), safe(each.module).c_str(), safe(vms_of(each)).c_str());
  });
  return Exit::ok;
}

void add_revoke(CLI::App& grant, Context& context) {
  auto request = std::make_shared<GrantRevocation>();
  request->by = calling_person();
  auto* command = grant.add_subcommand("revoke", "Take back at once what a module may do, until it is restored");
  command->add_option("MODULE", request->module, "The module")->required();
  auto* vm = command->add_option("--vm", request->vm, "VMs by name, with * and ?; without --vm and --tag: all")
                 ->type_name("PATTERN");
  command->add_option("--tag", request->tag, "VMs by tag")->type_name("TAG")->excludes(vm);
  command->add_option("--interface", request->interfaces, "Only this one; may be repeated; without it: all")
      ->type_name("NAME")
      ->take_all()
      ->allow_extra_args(false);
  command->add_option("--reason", request->reason, "Why: it is written down")->required()->type_name("TEXT");
  command->add_option("--by", request->by, "Who asks, for the record")->type_name("NAME");
  command->footer(
      "Holds from the next call on, over restarts of the agent and over \"vmsec policy apply\".\n\n"
      "Examples:\n  vmsec grant revoke memory_scanner --reason \"advisory 2026-11\"\n"
      "  vmsec grant revoke memory_scanner --vm 'acme-*' --interface vmsec.MemoryAccess --reason \"ticket 4711\"");
  context.on(command, [&context, request] { return revoke(context, *request); });
}

void add_restore(CLI::App& grant, Context& context) {
  auto request = std::make_shared<GrantRestoration>();
  request->by = calling_person();
  auto* command = grant.add_subcommand("restore", "End a withdrawal: the policy decides again");
  command->add_option("ID", request->id, "Its number, as \"vmsec grant list\" shows it")->required();
  command->add_option("--reason", request->reason, "Why: it is written down")->required()->type_name("TEXT");
  command->add_option("--by", request->by, "Who asks, for the record")->type_name("NAME");
  command->footer("Examples:\n  vmsec grant restore 3 --reason \"version 1.2 is installed\"");
  context.on(command, [&context, request] { return restore(context, *request); });
}

}  // namespace

// Behind sudo, the person and not root.
std::string calling_person() {
  for (const char* variable : {"SUDO_USER", "LOGNAME"})
    if (const char* name = std::getenv(variable); name != nullptr && *name != '\0') return name;
  return {};
}

void print_withdrawals(const std::vector<Withdrawal>& withdrawals) {
  Table table({"ID", "MODULE", "ON", "INTERFACES", "VMS HERE", "SINCE", "BY", "REASON"});
  for (const auto& each : withdrawals)
    table.add({std::to_string(each.id), each.module, vms_of(each), joined(each.interfaces, "all"),
               joined(each.domains, "none"), human_time(each.time), each.by, each.reason});
  table.print();
}

void add_grant(CLI::App& app, Context& context) {
  auto* grant = app.add_subcommand("grant", "What modules may do: list, revoke, restore");
  grant->require_subcommand(1);
  grant->footer("Examples:\n  vmsec grant list\n  vmsec grant revoke memory_scanner --reason \"advisory 2026-11\"");
  auto* list = grant->add_subcommand("list", "The grants of the policy in force, and what was withdrawn of them");
  list->footer("Examples:\n  vmsec grant list\n  vmsec grant list --json");
  context.on(list, [&context] { return list_grants(context); });
  add_revoke(*grant, context);
  add_restore(*grant, context);
}

}  // namespace vmsec::cli
