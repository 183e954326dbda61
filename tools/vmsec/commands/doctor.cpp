// vmsec doctor: what this machine can and cannot do, and the package to install.
#include "commands/commands.hpp"
#include "output.hpp"
#include "probes.hpp"

namespace vmsec::cli {
namespace {

void print_diagnosis(const Diagnosis& diagnosis) {
  Table table({"WHAT", "", "DETAIL", "INSTALL"});
  for (const auto& probe : diagnosis.probes)
    table.add({probe.name, probe.present ? coloured(Colour::green, "ok") : coloured(Colour::yellow, "missing"),
               probe.detail, probe.package.empty() ? "" : "apt install " + probe.package});
  table.print();
  std::string backends;
  for (const auto& name : diagnosis.backends) backends += (backends.empty() ? "" : ", ") + name;
  std::printf("\nbackends that can work here: %s\n", backends.empty() ? "none" : backends.c_str());
}

Ending doctor(const Context& context) {
  const Diagnosis diagnosis = examine_machine(context.options.agent);
  if (context.options.json) {
    Json probes = Json::array();
    for (const auto& probe : diagnosis.probes)
      probes.push_back(
          {{"name", probe.name}, {"present", probe.present}, {"detail", probe.detail}, {"package", probe.package}});
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
      "Exit code 0 when at least one backend can work here.\n\nExamples:\n  vmsec doctor\n  vmsec doctor --json");
  context.on(command, [&context] { return doctor(context); });
}

}  // namespace vmsec::cli
