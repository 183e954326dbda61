// vmsec module list, vmsec plugin list: the host's, or those in the folders given.
#include <algorithm>

#include "commands/commands.hpp"
#include "output.hpp"
#include "scan.hpp"
#include "vmsec/policy.hpp"
#include "vmsec/service/host_control.hpp"
#include "vmsec/units.hpp"

namespace vmsec::cli {
namespace {

// With their prefix: as a policy's [[grant]] has them.
std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

// What an operator asks of a module first: does it do its work?
std::string state_text(const FoundModule& module) {
  const ModuleInfo& info = module.info;
  if (!module.problem.empty()) return coloured(Colour::red, "refused");
  if (info.carrier.empty()) return "not loaded";
  if (info.carrier == "in-process") return coloured(Colour::green, "in-process");
  if (info.state == "running") return coloured(Colour::green, "running");
  const std::string when = info.restart_in.value == 0 ? "now" : "in " + human(info.restart_in);
  return coloured(Colour::yellow, "restarting " + when);
}

// Why it does not run, or did not the last time.
std::string cause_of(const FoundModule& module) {
  if (!module.problem.empty()) return module.problem;
  const ModuleInfo& info = module.info;
  if (info.carrier == "worker" && info.state != "running") return info.last_end;
  return {};
}

void print_modules(const std::vector<FoundModule>& modules) {
  if (modules.empty()) {
    std::puts("no modules");
    return;
  }
  Table table({"NAME", "VERSION", "STATE", "RESTARTS", "SIGNER", "SECTION", "PROVIDES", "SUMMARY OR CAUSE"});
  for (const auto& module : modules) {
    const ModuleInfo& info = module.info;
    const std::string cause = cause_of(module);
    table.add({info.name, info.version, state_text(module), std::to_string(info.restarts), or_dash(info.signer),
               or_dash(info.section), joined(info.provides, "-"),
               cause.empty() ? info.summary : coloured(Colour::red, cause)});
  }
  table.print();
}

void print_plugins(const std::vector<PluginInfo>& plugins) {
  if (plugins.empty()) {
    std::puts("no plugins");
    return;
  }
  Table table({"NAME", "LOADS", "FILE", "SUMMARY"});
  for (const auto& plugin : plugins)
    table.add({plugin.name, plugin.problem.empty() ? coloured(Colour::green, "yes") : coloured(Colour::red, "no"),
               plugin.file, plugin.problem.empty() ? plugin.summary : plugin.problem});
  table.print();
}

std::vector<std::string> folders_of(const std::vector<std::string>& given, const char* kind) {
  return given.empty() ? std::vector<std::string>{installed_folder(kind)} : given;
}

Result<std::vector<FoundModule>> modules_of(Context& context, bool scan) {
  if (scan) {
    VMSEC_TRY(const Trust trust, Trust::read(context.options.trust));
    return scan_modules(folders_of(context.options.module_path, "modules"), trust);
  }
  context.load_modules({"isolation", "throttle"});
  VMSEC_TRY(const auto host, context.open<HostControl>());
  VMSEC_TRY(auto info, host->info({}));
  std::vector<FoundModule> modules;
  for (auto& module : info.modules) modules.push_back({std::move(module), {}});
  return modules;
}

// One word for scripts: how it is carried and how it does.
std::string state_word(const FoundModule& module) {
  if (!module.problem.empty()) return "refused";
  if (module.info.carrier.empty()) return "not-loaded";
  if (module.info.carrier == "in-process") return "in-process";
  return module.info.state == "running" ? "running" : "restarting";
}

Json json_of(const FoundModule& module) {
  Json json = to_json(module.info);
  json["state"] = state_word(module);
  json["problem"] = module.problem;
  return json;
}

Ending list_modules(Context& context, bool scan) {
  VMSEC_TRY(const auto modules, modules_of(context, scan));
  if (!context.options.json) {
    print_modules(modules);
    return Exit::ok;
  }
  Json list = Json::array();
  for (const auto& module : modules) list.push_back(json_of(module));
  Context::print_json(list_json("modules", std::move(list)));
  return Exit::ok;
}

void print_module(const FoundModule& module) {
  const ModuleInfo& info = module.info;
  std::vector<std::string> to_grant;
  for (const auto& need : info.needs)
    if (std::ranges::find(kGrantableInterfaces, need) != kGrantableInterfaces.end()) to_grant.push_back(need);
  print_facts({{"name", info.name},
               {"version", info.version},
               {"summary", info.summary},
               {"policy section", info.section.empty() ? "-" : "[vm." + info.section + "]"},
               {"to be granted", joined(to_grant, "-")},
               {"needs", joined(info.needs, "-")},
               {"provides", joined(info.provides, "-")},
               {"asks", joined(info.asks, "-")},
               {"file", info.file},
               {"SHA-256", or_dash(info.digest)},
               {"signed by", or_dash(info.signer)},
               {"carrier", or_dash(info.carrier)},
               {"state", state_text(module)},
               {"restarts", std::to_string(info.restarts)},
               {"last end", or_dash(info.last_end)}});
  if (!module.problem.empty()) print_facts({{"problem", coloured(Colour::red, module.problem)}});
}

Ending show_module(Context& context, const std::string& name, bool scan) {
  VMSEC_TRY(const auto modules, modules_of(context, scan));
  const auto found = std::ranges::find(modules, name, [](const FoundModule& each) { return each.info.name; });
  if (found == modules.end())
    return fail_with(Error{Code::not_found, "module " + units::quoted(name) + ": there is none of this name", 0, {}},
                     "\"vmsec module list\" shows those there are");
  if (!context.options.json) {
    print_module(*found);
    return Exit::ok;
  }
  Context::print_json(json_of(*found));
  return Exit::ok;
}

Ending restart_module(Context& context, const ModuleRestart& request) {
  context.load_modules({"isolation", "throttle"});
  VMSEC_TRY(const auto host, context.open<HostControl>());
  auto info = host->restart_module(request);
  if (!info && info.error().code == Code::not_found)
    return fail_with(info.error(), "\"vmsec module list\" shows those there are");
  if (!info && info.error().code == Code::wrong_state)
    return fail_with(info.error(), "systemctl restart vmsecd; or take it off host.in_process first");
  if (!info)
    return fail_with(info.error(), "\"vmsec module show " + request.name + "\" tells the next attempt, its log why");
  if (context.options.json)
    Context::print_json(json_of({*info, {}}));
  else
    std::printf("module %s runs again; restarts: %u\n", safe(info->name).c_str(), info->restarts);
  return Exit::ok;
}

void add_restart(CLI::App& module, Context& context) {
  auto request = std::make_shared<ModuleRestart>();
  request->by = calling_person();
  auto* command = module.add_subcommand("restart", "Begin a module's process again now, whether it runs or waits");
  command->add_option("NAME", request->name, "The module")->required();
  command->add_option("--by", request->by, "Who asks, for the record")->type_name("NAME");
  command->footer(
      "What it has under way ends as after a crash. Modules in the agent's own process are not restarted alone.\n"
      "Exit code 1: it did not start, and is tried again.\n\n"
      "Examples:\n  vmsec module restart throttle\n  vmsec module restart throttle --json");
  context.on(command, [&context, request] { return restart_module(context, *request); });
}

Ending list_plugins(Context& context, bool scan) {
  std::vector<PluginInfo> plugins;
  if (scan) {
    VMSEC_TRY(const Trust trust, Trust::read(context.options.trust));
    plugins = scan_plugins(folders_of(context.options.plugin_path, "plugins"), trust);
  } else {
    VMSEC_TRY(const auto host, context.open<HostControl>());
    VMSEC_TRY(const auto info, host->info({}));
    plugins = info.plugins;
  }
  if (context.options.json)
    Context::print_json(list_json("plugins", to_json(plugins)));
  else
    print_plugins(plugins);
  return Exit::ok;
}

}  // namespace

void add_objects(CLI::App& app, Context& context) {
  auto scan = std::make_shared<bool>(false);
  const auto add = [&](const char* kind, const char* summary) {
    auto* group = app.add_subcommand(kind, summary);
    group->require_subcommand(1);
    const std::string examples = std::string("Examples:\n  vmsec ") + kind + " list\n  vmsec " + kind +
                                 " list --scan\n  vmsec " + kind + " list --scan --" + kind + "-path ./lib";
    group->footer(examples);
    auto* list = group->add_subcommand("list", summary);
    list->add_flag("--scan", *scan, "Those in the installed folder (or the one given), without a host");
    list->footer(examples);
    return list;
  };
  auto* module_list = add("module", "The modules that the host has loaded");
  context.on(module_list, [&context, scan] { return list_modules(context, *scan); });
  auto name = std::make_shared<std::string>();
  auto* module_show = module_list->get_parent()->add_subcommand("show", "One module: what it needs, and what to grant");
  module_show->add_option("NAME", *name, "The module")->required();
  module_show->add_flag("--scan", *scan, "Of those in the installed folder (or the one given), without a host");
  module_show->footer("Examples:\n  vmsec module show throttle\n  vmsec module show throttle --scan --json");
  context.on(module_show, [&context, name, scan] { return show_module(context, *name, *scan); });
  add_restart(*module_list->get_parent(), context);
  add_module_new(*module_list->get_parent(), context);
  context.on(add("plugin", "The plugins that the host can load"),
             [&context, scan] { return list_plugins(context, *scan); });
}

}  // namespace vmsec::cli
