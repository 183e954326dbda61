// vmsec: the operator's tool. Speaks to a host's agent, or opens a Host in this process.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "commands/commands.hpp"
#include "output.hpp"

namespace vmsec::cli {
namespace {

constexpr const char* kFooter = R"(Examples:
  vmsec vm list
  vmsec policy diff web.toml
  vmsec migrate web-1 --to host-b --ticket web-1.ticket
  vmsec --plugin kvm --uri qemu:///system vm list     # without an agent

Exit codes:
  0  done
  1  the environment: nothing listens, a disk is full; may work when tried again
  2  the caller's mistake: usage, an unknown VM, a policy with findings
  3  refused for security: denied, untrusted, tampered, expired
  4  in doubt: "vmsec migrate resolve" ends it
  5  "policy diff" or "attest diff" found differences
  6  "inspect" found something critical)";

std::string default_agent() {
  const char* set = std::getenv("VMSEC_AGENT");
  return set != nullptr && *set != '\0' ? set : "/run/vmsec/vmsecd.sock";
}

void add_options(CLI::App& app, Options& options) {
  options.agent = default_agent();
  app.set_version_flag("--version", "vmsec " VMSEC_VERSION);
  app.add_option("--agent", options.agent, "The agent's socket (VMSEC_AGENT; else /run/vmsec/vmsecd.sock)")
      ->type_name("SOCKET");
  app.add_flag("--json", options.json, "Print the result as JSON");
  const char* group = "Without an agent";
  auto* plugin = app.add_option("--plugin", options.plugin, "Use this hypervisor's plugin in this process")
                     ->type_name("NAME")
                     ->group(group);
  app.add_option("--uri", options.uri, "The hypervisor's URI")->type_name("URI")->group(group)->needs(plugin);
  app.add_option("--setting", options.settings, "The plugin's own setting, as in [backend.settings]; may be repeated")
      ->type_name("KEY=VALUE")
      ->group(group)
      ->needs(plugin)
      ->take_all()
      ->allow_extra_args(false);
  app.add_option("--plugin-path", options.plugin_path, "Folder of plugins; may be repeated")
      ->type_name("DIR")
      ->group(group)
      ->take_all();
  app.add_option("--module-path", options.module_path, "Folder of modules; may be repeated")
      ->type_name("DIR")
      ->group(group)
      ->take_all();
  app.add_option("--trust", options.trust,
                 "The operator's trust store: whose modules and plugins load (/etc/vmsec/trust.toml)")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--state", options.state, "Folder for records and audit log of such calls (/var/lib/vmsec-cli)")
      ->type_name("DIR")
      ->group(group);
}

// Messages may have several lines, but steer no terminal.
std::string printable(const std::string& message) {
  std::string out;
  for (std::size_t at = 0; at <= message.size();) {
    const auto end = std::min(message.find('\n', at), message.size());
    out += (at == 0 ? "" : "\n") + safe(message.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

int report(const Failure& failure, const Context& context) {
  std::fprintf(stderr, "vmsec: %s\n", printable(failure.error.message).c_str());
  const std::string next = failure.next.empty() ? advice_for(failure.error, context) : failure.next;
  if (!next.empty()) std::fprintf(stderr, "       %s\n", next.c_str());
  return static_cast<int>(exit_of(failure.error.code));
}

// The command that the line got to.
const CLI::App& reached(const CLI::App& app) {
  const auto parsed = app.get_subcommands();
  return parsed.empty() ? app : reached(*parsed.front());
}

// CLI11 tells that a subcommand is missing, but not which word it could not use.
std::string wrong_word(const CLI::App& app, const std::string& otherwise) {
  const CLI::App& at = reached(app);
  const auto commands = at.get_subcommands([](const CLI::App*) { return true; });
  if (commands.empty() || at.get_require_subcommand_min() == 0) return otherwise;
  std::string has;
  for (const auto* command : commands) has += (has.empty() ? "" : ", ") + command->get_name();
  const std::string those = "; " + at.get_name() + " has " + has;
  for (const auto& word : app.remaining(true))
    return std::string(word.starts_with('-') ? "unknown option \"" : "unknown command \"") + word + "\"" + those;
  return "a command is missing" + those;
}

int run(int argc, char** argv) {
  Context context;
  CLI::App app("vmsec watches over the VMs of a host: limits, policy, attestation, encrypted migration.", "vmsec");
  app.fallthrough();  // global options may stand behind the command
  app.require_subcommand(1);
  app.footer(kFooter);
  add_options(app, context.options);
  for (const auto add :
       {add_host, add_vm, add_top, add_policy, add_grant, add_tenant, add_ticket, add_migrate, add_attest, add_audit,
        add_pki, add_objects, add_signing, add_trust, add_inspect, add_doctor, add_completion})
    add(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    std::fprintf(stderr, "vmsec: %s\n       \"vmsec ... --help\" shows usage and examples\n",
                 printable(wrong_word(app, error.what())).c_str());
    return static_cast<int>(Exit::mistake);
  }
  const Ending outcome = context.action();
  if (!outcome) return report(outcome.error(), context);
  if (std::fflush(stdout) != 0) {
    std::fprintf(stderr, "vmsec: write the result: it could not be written\n");
    return static_cast<int>(Exit::environment);
  }
  return static_cast<int>(*outcome);
}

}  // namespace
}  // namespace vmsec::cli

int main(int argc, char** argv) {
  try {
    return vmsec::cli::run(argc, argv);
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "vmsec: %s\n", failed.what());
    return static_cast<int>(vmsec::cli::Exit::environment);
  }
}
