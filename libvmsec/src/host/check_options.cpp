// What can be known of a configuration before anything is opened.
#include <algorithm>

#include "host/carrier.hpp"
#include "host/local_identity.hpp"
#include "loader/module_file.hpp"
#include "loader/shared_object.hpp"
#include "vmsec/host.hpp"
#include "vmsec/trust.hpp"

namespace vmsec {
namespace {

std::vector<std::string> folders(const std::vector<std::string>& given, const char* kind) {
  return given.empty() ? std::vector<std::string>{loader::installed_folder(kind)} : given;
}

Status check_identity(HostOptions options) {
  // Loading writes nothing; the state folder is perhaps made by the first start.
  options.state_dir = "/";
  const auto identity = host::load_identity(options);
  if (!identity) return fail(identity.error().in("[identity]"));
  if (identity->name() == options.name) return {};
  return fail(Code::invalid_argument,
              "host.name is \"" + options.name + "\", its certificate is \"" + identity->name() + "\"'s");
}

// What open_host() would refuse of a plugin, without running any of it.
Status check_plugin(const std::string& file, const Trust& trust) {
  VMSEC_TRY(ObjectReport report, inspect_object(file, ObjectKind::plugin, trust));
  if (!report.refusals.empty()) return fail(std::move(report.refusals.front()));
  return {};
}

}  // namespace

Status check_host_options(const HostOptions& options) {
  if (!options.identity.certificate.empty()) VMSEC_CHECK(check_identity(options));
  VMSEC_TRY(const Trust trust, Trust::read(options.trust_file));
  VMSEC_TRY(const std::string plugin,
            loader::find_object(options.plugin, folders(options.plugin_path, "plugins"), "plugin"));
  VMSEC_CHECK(check_plugin(plugin, trust));
  for (const auto& [name, settings] : options.modules) {
    VMSEC_TRY(const std::string file, loader::find_object(name, folders(options.module_path, "modules"), "module"));
    VMSEC_TRY(const loader::ModuleFile module, loader::ModuleFile::open(file, trust));
    if (std::ranges::find(options.in_process, name) != options.in_process.end()) {
      VMSEC_CHECK(trust.check_in_process(file, module.signers()));
      continue;
    }
    const auto budget = options.workers.find(name);
    VMSEC_CHECK(host::check_worker(module.manifest(), settings,
                                   budget == options.workers.end() ? WorkerBudget() : budget->second));
  }
  return {};
}

}  // namespace vmsec
