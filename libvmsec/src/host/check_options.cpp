// What can be known of a configuration before anything is opened.
#include "host/local_identity.hpp"
#include "loader/shared_object.hpp"
#include "vmsec/host.hpp"

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

}  // namespace

Status check_host_options(const HostOptions& options) {
  if (!options.identity.certificate.empty()) VMSEC_CHECK(check_identity(options));
  VMSEC_CHECK(loader::find_object(options.plugin, folders(options.plugin_path, "plugins"), "plugin"));
  for (const auto& [name, settings] : options.modules)
    VMSEC_CHECK(loader::find_object(name, folders(options.module_path, "modules"), "module"));
  return {};
}

}  // namespace vmsec
