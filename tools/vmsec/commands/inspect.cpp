// vmsec inspect: what a module found that looks at a VM.
#include "vmsec/service/inspection.hpp"

#include <algorithm>

#include "commands/commands.hpp"
#include "output.hpp"
#include "vmsec/policy.hpp"
#include "vmsec/units.hpp"

namespace vmsec::cli {
namespace {

// "pattern.x=90" is the text "90", "hits:=90" the number: a value's type is never guessed.
Result<Setting> setting_of(const std::string& word) {
  const auto equals = word.find('=');
  const bool is_toml = equals != std::string::npos && equals != 0 && word[equals - 1] == ':';
  const std::string key = word.substr(0, is_toml ? equals - 1 : equals);
  if (equals == std::string::npos || key.empty())
    return fail(Code::invalid_argument, "--set " + units::quoted(word) + ": want KEY=TEXT or KEY:=TOML");
  const std::string value = word.substr(equals + 1);
  if (!is_toml) return Setting{.path = key, .type = SettingType::text, .text = value};
  VMSEC_TRY(Settings read, parse_settings(key + " = " + value + "\n", "--set"));
  if (read.settings.size() != 1)
    return fail(Code::invalid_argument, "--set " + units::quoted(word) + ": want one value, 5, true, \"x\" or [\"x\"]");
  return std::move(read.settings.front());
}

std::string severity_text(Severity severity) {
  const std::string text(to_string(severity));
  if (severity == Severity::info) return text;
  return coloured(severity == Severity::critical ? Colour::red : Colour::yellow, text);
}

void print_inspection(const InspectionReport& report) {
  if (report.observations.empty()) {
    std::puts("nothing found");
  } else {
    Table table({"SEVERITY", "SUBJECT", "MESSAGE"});
    for (const auto& each : report.observations) table.add({severity_text(each.severity), each.subject, each.message});
    table.print();
  }
  if (report.measurements.empty()) return;
  std::puts("");
  std::vector<Fact> facts;
  for (const auto& each : report.measurements) facts.push_back({each.what, each.value});
  print_facts(facts);
}

Ending inspect(Context& context, const std::string& module, const std::string& vm,
               const std::vector<std::string>& words) {
  InspectionTarget target;
  for (const auto& word : words) {
    VMSEC_TRY(Setting setting, setting_of(word));
    target.wanted.settings.push_back(std::move(setting));
  }
  context.load_modules({module});
  VMSEC_TRY(const auto domains, context.open<DomainControl>());
  VMSEC_TRY(const auto domain, find_domain(*domains, vm));
  target.domain = domain.domain;
  VMSEC_TRY(const auto control, context.control());
  const auto inspection = control->open<Inspection>(module + ":" + std::string(Methods<Inspection>::kName));
  VMSEC_TRY(const InspectionReport report, inspection->inspect(target));
  context.print(report, print_inspection);
  const bool critical = std::ranges::any_of(
      report.observations, [](const Observation& each) { return each.severity == Severity::critical; });
  return critical ? Exit::critical : Exit::ok;
}

}  // namespace

void add_inspect(CLI::App& app, Context& context) {
  auto module = std::make_shared<std::string>();
  auto vm = std::make_shared<std::string>();
  auto words = std::make_shared<std::vector<std::string>>();
  auto* command = app.add_subcommand("inspect", "Ask a module that looks at VMs what it finds in one");
  command->add_option("MODULE", *module, "The module: one that provides vmsec.Inspection")->required();
  command->add_option("VM", *vm, "Its name or UUID")->required();
  command
      ->add_option("--set", *words,
                   "For this time, beside the module's configuration; KEY:=VALUE has a value as TOML has it, any "
                   "other is a text; may be repeated")
      ->type_name("KEY=TEXT")
      ->take_all()
      ->allow_extra_args(false);
  command->footer(
      "Examples:\n  vmsec inspect memory_scanner web-1\n"
      "  vmsec inspect memory_scanner web-1 --set pattern.implant=deadbeef00c0ffee --set hits:=4\n"
      "  vmsec inspect compliance web-1 --json\n"
      "Exit code 6: something critical was found.");
  context.on(command, [&context, module, vm, words] { return inspect(context, *module, *vm, *words); });
}

}  // namespace vmsec::cli
