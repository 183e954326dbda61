// vmsec doctor: what this machine can and cannot do, and the package to install.
#include "commands/commands.hpp"
#include "output.hpp"
#include "probes.hpp"

namespace vmsec::cli {
namespace {

std::string coloured(Standing standing) {
  const Colour colour = standing == Standing::ok          ? Colour::green
                        : standing == Standing::attention ? Colour::yellow
                                                          : Colour::red;
  return coloured(colour, std::string(to_string(standing)));
}

std::string next_of(const Probe& probe) { return probe.package.empty() ? probe.next : "apt install " + probe.package; }

void print_area(const std::vector<Probe>& probes, const char* area) {
  Table table({area, "", "DETAIL", "WHAT TO DO"});
  for (const auto& probe : probes)
    if (probe.area == area) table.add({probe.name, coloured(probe.standing), probe.detail, next_of(probe)});
  table.print();
}

void print_diagnosis(const Diagnosis& diagnosis) {
  print_area(diagnosis.probes, "machine");
  std::printf("\n");
  print_area(diagnosis.probes, "sandbox");
  std::printf("\n");
  print_area(diagnosis.probes, "trust");
  std::string backends;
  for (const auto& name : diagnosis.backends) backends += (backends.empty() ? "" : ", ") + name;
  std::printf("\nbackends that can work here: %s\n", backends.empty() ? "none" : backends.c_str());
}

Json json_of(const Probe& probe) {
  return {{"area", probe.area},         {"name", probe.name},
          {"present", probe.present()}, {"standing", to_string(probe.standing)},
          {"detail", probe.detail},     {"package", probe.package},
          {"next", probe.next}};
}

Ending doctor(const Context& context) {
  const Options& options = context.options;
  const Diagnosis diagnosis = examine_machine({options.agent, options.trust, options.plugin_path, options.module_path});
  if (options.json) {
    Json probes = Json::array();
    for (const auto& probe : diagnosis.probes) probes.push_back(json_of(probe));
    Context::print_json(Json{{"probes", probes}, {"backends", diagnosis.backends}});
  } else {
    print_diagnosis(diagnosis);
  }
  return diagnosis.backends.empty() ? Exit::environment : Exit::ok;
}

}  // namespace

void add_doctor(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("doctor", "What this machine can and cannot do, and what to install");
  command->footer(
      "The sandbox is tried by the user that asks, outside of the limits of the agent's unit: ask as the agent's "
      "user.\n"
      "Exit code 0 when at least one backend can work here.\n\n"
      "Examples:\n  vmsec doctor\n  vmsec doctor --trust /etc/vmsec/trust.toml --json");
  context.on(command, [&context] { return doctor(context); });
}

}  // namespace vmsec::cli
