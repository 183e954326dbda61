#include "context.hpp"

#include <cstdio>

#include "common/advice.hpp"
#include "scan.hpp"
#include "vmsec/host.hpp"
#include "vmsec/units.hpp"

namespace vmsec::cli {

void Context::on(CLI::App* command, std::function<Ending()> act) {
  command->callback([this, act = std::move(act)] { action = act; });
}

void Context::print_json(const Json& value) {
  std::puts(value.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

void Context::print_json_line(const Json& value) {
  std::puts(value.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
}

Result<std::shared_ptr<Control>> Context::control() {
  if (control_) return control_;
  if (options.plugin.empty()) {
    VMSEC_TRY(control_, connect_agent(options.agent));
    return control_;
  }
  HostOptions host;
  host.state_dir = options.state_folder();
  host.run_dir = options.state_folder() + "/run";
  host.plugin = options.plugin;
  const auto folders = [](const std::vector<std::string>& given, const char* kind) {
    return given.empty() ? std::vector<std::string>{installed_folder(kind)} : given;
  };
  host.plugin_path = folders(options.plugin_path, "plugins");
  host.module_path = folders(options.module_path, "modules");
  host.trust_file = options.trust;
  host.backend.uri = options.uri;
  for (const auto& setting : options.settings) {
    const auto equals = setting.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(Code::invalid_argument, "--setting " + setting + ": want KEY=VALUE");
    host.backend.settings[setting.substr(0, equals)] = setting.substr(equals + 1);
  }
  host.trusted_without_policy = true;
  for (const auto& name : modules_) host.modules[name];
  VMSEC_TRY(control_, open_host(std::move(host)));
  return control_;
}

Result<DomainInfo> find_domain(DomainControl& domains, const std::string& name_or_uuid) {
  if (const auto uuid = Uuid::parse(name_or_uuid)) return domains.get(DomainRef{*uuid});
  VMSEC_TRY(const DomainList list, domains.list({}));
  const DomainInfo* found = nullptr;
  for (const auto& domain : list.domains) {
    if (domain.name != name_or_uuid) continue;
    if (found != nullptr)
      return fail(Code::invalid_argument, "find VM " + units::quoted(name_or_uuid) + ": " + found->domain.text() +
                                              " and " + domain.domain.text() + " both have this name: give the UUID");
    found = &domain;
  }
  if (found == nullptr) return fail(Code::not_found, "find VM " + units::quoted(name_or_uuid) + ": there is none");
  return *found;
}

std::string advice_for(const Error& error, const Context& context) {
  const Options& options = context.options;
  const auto says = [&](const char* words) { return error.message.find(words) != std::string::npos; };
  if (error.message.starts_with("reach vmsecd") && says("Permission denied"))
    return "the agent's socket is for root and the agent's own user";
  if (error.message.starts_with("reach vmsecd"))
    return "start vmsecd, name its socket by --agent, or use --plugin to work without an agent";
  if (error.message.starts_with("find VM ")) return "\"vmsec vm list\" shows the VMs of this host";
  if (error.code == Code::io && !options.plugin.empty() &&
      error.message.find(options.state_folder()) != std::string::npos)
    return "name a folder that you may write to by --state";
  if (error.code == Code::in_doubt) return "\"vmsec migrate resolve\" on both hosts brings it to its one end";
  if (error.code == Code::unauthenticated || error.code == Code::expired)
    return "check certificates and revocation list: \"vmsec pki list\", \"vmsec pki crl\"";
  if (error.message.find("[[grant]]") != std::string::npos)
    return "change that host's policy so (docs/policy.md), then \"vmsec policy apply\" there";
  // What was refused before any host was asked is in no log.
  if (family(error.code) == Family::security && context.asked() && !says("load "))
    return "\"vmsec audit show --outcome refused\" on the hosts concerned may say more";
  return tools::advice_on(error);
}

}  // namespace vmsec::cli
