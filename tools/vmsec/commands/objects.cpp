// vmsec module list, vmsec plugin list: the host's, or those in the folders given.
#include "commands/commands.hpp"
#include "output.hpp"
#include "scan.hpp"
#include "vmsec/service/host_control.hpp"

namespace vmsec::cli {
namespace {

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& text : texts) {
    const std::string_view name = text.starts_with("vmsec.") ? std::string_view(text).substr(6) : text;
    out += (out.empty() ? "" : ", ") + std::string(name);
  }
  return out.empty() ? "-" : out;
}

void print_modules(const std::vector<FoundModule>& modules) {
  if (modules.empty()) {
    std::puts("no modules");
    return;
  }
  Table table({"NAME", "VERSION", "SECTION", "PROVIDES", "NEEDS", "FILE", "SUMMARY"});
  for (const auto& [info, problem] : modules)
    table.add({info.name, info.version, info.section.empty() ? "-" : info.section, joined(info.provides),
               joined(info.needs), info.file, problem.empty() ? info.summary : coloured(Colour::red, problem)});
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

Ending list_modules(Context& context, bool scan) {
  std::vector<FoundModule> modules;
  if (scan) {
    modules = scan_modules(folders_of(context.options.module_path, "modules"));
  } else {
    context.load_modules({"isolation", "throttle"});
    VMSEC_TRY(const auto host, context.open<HostControl>());
    VMSEC_TRY(auto info, host->info({}));
    for (auto& module : info.modules) modules.push_back({std::move(module), {}});
  }
  if (!context.options.json) {
    print_modules(modules);
    return Exit::ok;
  }
  Json list = Json::array();
  for (const auto& [info, problem] : modules) {
    list.push_back(to_json(info));
    list.back()["problem"] = problem;
  }
  Context::print_json(list);
  return Exit::ok;
}

Ending list_plugins(Context& context, bool scan) {
  std::vector<PluginInfo> plugins;
  if (scan) {
    plugins = scan_plugins(folders_of(context.options.plugin_path, "plugins"));
  } else {
    VMSEC_TRY(const auto host, context.open<HostControl>());
    VMSEC_TRY(const auto info, host->info({}));
    plugins = info.plugins;
  }
  context.print(plugins, print_plugins);
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
  context.on(add("module", "The modules that the host has loaded"),
             [&context, scan] { return list_modules(context, *scan); });
  context.on(add("plugin", "The plugins that the host can load"),
             [&context, scan] { return list_plugins(context, *scan); });
}

}  // namespace vmsec::cli
