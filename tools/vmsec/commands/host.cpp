// vmsec host: what this host is, and what its hypervisor can do.
#include "commands/commands.hpp"
#include "output.hpp"
#include "vmsec/service/host_control.hpp"

namespace vmsec::cli {
namespace {

std::string or_none(const std::string& text) { return text.empty() ? "none" : text; }

std::string in_force(const HostInfo& info) {
  if (info.policy_in_force.empty()) return "none";
  return info.policy_in_force + " (SHA-256 " + info.policy_digest + ")";
}

void print_info(const HostInfo& info) {
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
  context.print(info, print_info);
  return Exit::ok;
}

Ending host_capabilities(Context& context) {
  VMSEC_TRY(const auto host, context.open<HostControl>());
  VMSEC_TRY(const auto info, host->info({}));
  context.print(info.capabilities, print_capabilities);
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
