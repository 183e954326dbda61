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
std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& text : texts) out += (out.empty() ? "" : ", ") + text;
  return out.empty() ? "-" : out;
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

void print_modules(const std::vector<FoundModule>& modules) {
  if (modules.empty()) {
    std::puts("no modules");
    return;
  }
  Table table({"NAME", "VERSION", "SIGNER", "CARRIER", "SECTION", "PROVIDES", "SUMMARY"});
  for (const auto& [info, problem] : modules)
    table.add({info.name, info.version, or_dash(info.signer), or_dash(info.carrier),
               info.section.empty() ? "-" : info.section, joined(info.provides),
               problem.empty() ? info.summary : coloured(Colour::red, problem)});
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

Json json_of(const FoundModule& module) {
  Json json = to_json(module.info);
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
               {"to be granted", joined(to_grant)},
               {"needs", joined(info.needs)},
               {"provides", joined(info.provides)},
               {"asks", joined(info.asks)},
               {"file", info.file},
               {"SHA-256", or_dash(info.digest)},
               {"signed by", or_dash(info.signer)},
               {"carrier", or_dash(info.carrier)},
               {"state", or_dash(info.state)},
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
  add_module_new(*module_list->get_parent(), context);
  context.on(add("plugin", "The plugins that the host can load"),
             [&context, scan] { return list_plugins(context, *scan); });
}

}  // namespace vmsec::cli
