// vmsec host: what this host is, and what its hypervisor can do.
#include <algorithm>

#include "commands/commands.hpp"
#include "output.hpp"
#include "vmsec/service/host_control.hpp"

namespace vmsec::cli {
namespace {

std::string or_none(const std::string& text) { return text.empty() ? "none" : text; }

std::string doubt_text(std::size_t count) {
  return std::to_string(count) + " migration" + (count == 1 ? "" : "s") + ": \"vmsec migrate resolve\"";
}

// None where the host has no migration module.
std::size_t migrations_in_doubt(Context& context) {
  const auto migrator = context.open<Migrator>();
  if (!migrator) return 0;
  const auto list = (*migrator)->list({});
  if (!list) return 0;
  return static_cast<std::size_t>(
      std::ranges::count(list->migrations, MigrationState::in_doubt, &MigrationStatus::state));
}

std::string in_force(const HostInfo& info) {
  if (info.policy_in_force.empty()) return "none";
  return info.policy_in_force + " (SHA-256 " + info.policy_digest + ")";
}

void print_info(const HostInfo& info, std::size_t in_doubt) {
  std::string modules;
  for (const auto& module : info.modules) modules += (modules.empty() ? "" : ", ") + module.name + " " + module.version;
  std::string peers;
  for (const auto& peer : info.peers) peers += (peers.empty() ? "" : ", ") + peer;
  std::size_t available = 0;
  for (const auto& capability : info.capabilities) available += capability.available ? 1 : 0;
  print_facts({{"name", info.name},
               {"version", info.version},
               {"backend", info.backend + (info.backend_uri.empty() ? "" : " (" + info.backend_uri + ")")},
               {"capabilities", std::to_string(available) + " of " + std::to_string(info.capabilities.size())},
               {"modules", or_none(modules)},
               {"peers reach it at", or_none(info.listen)},
               {"peers", or_none(peers)},
               {"policy file", or_none(info.policy_file)},
               {"policy in force", in_force(info)},
               {"state", info.state_dir}});
  if (!info.withdrawals.empty()) {
    const std::string text = std::to_string(info.withdrawals.size()) + ": \"vmsec grant list\"";
    print_facts({{"withdrawn", coloured(Colour::yellow, text)}});
  }
  if (in_doubt > 0) print_facts({{"in doubt", coloured(Colour::yellow, doubt_text(in_doubt))}});
}

void print_capabilities(const std::vector<CapabilityInfo>& capabilities) {
  Table table({"CAPABILITY", "AVAILABLE", "WHY NOT"});
  for (const auto& each : capabilities)
    table.add({each.interface, each.available ? coloured(Colour::green, "yes") : coloured(Colour::yellow, "no"),
               each.reason});
  table.print();
}

Ending host_info(Context& context) {
  VMSEC_TRY(const auto host, context.open<HostControl>());
  VMSEC_TRY(const auto info, host->info({}));
  const std::size_t in_doubt = migrations_in_doubt(context);
  if (!context.options.json) {
    print_info(info, in_doubt);
    return Exit::ok;
  }
  Json json = to_json(info);
  json["migrations_in_doubt"] = in_doubt;
  Context::print_json(json);
  return Exit::ok;
}

Ending host_capabilities(Context& context) {
  VMSEC_TRY(const auto host, context.open<HostControl>());
  VMSEC_TRY(const auto info, host->info({}));
  if (context.options.json)
    Context::print_json(list_json("capabilities", to_json(info.capabilities)));
  else
    print_capabilities(info.capabilities);
  return Exit::ok;
}

}  // namespace

void add_host(CLI::App& app, Context& context) {
  auto* host = app.add_subcommand("host", "What this host is, and what its hypervisor can do");
  host->require_subcommand(1);
  host->footer("Examples:\n  vmsec host info\n  vmsec host capabilities --json");
  auto* info = host->add_subcommand("info", "Name, backend, modules, peers, policy");
  info->footer("Examples:\n  vmsec host info\n  vmsec host info --json");
  context.on(info, [&context] { return host_info(context); });
  auto* capabilities = host->add_subcommand("capabilities", "What the hypervisor can do, and why it cannot");
  capabilities->footer("Examples:\n  vmsec host capabilities\n  vmsec --plugin sim host capabilities");
  context.on(capabilities, [&context] { return host_capabilities(context); });
}

}  // namespace vmsec::cli
