// The host itself, as an operator sees it: what is loaded, policy, audit log.
#pragma once

#include <string>
#include <vector>

#include "vmsec/interface.hpp"
#include "vmsec/service/enforcement.hpp"
#include "vmsec/service/grants.hpp"
#include "vmsec/service/journal.hpp"

namespace vmsec {

// What a backend answers when a capability is asked for.
struct CapabilityInfo {
  std::string interface;  // "vmsec.IoControl"
  bool available = false;
  std::string reason;  // why not
  static constexpr std::string_view kMessage = "vmsec.CapabilityInfo";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "interface", &CapabilityInfo::interface),
                        wire::field(2, "available", &CapabilityInfo::available),
                        wire::field(3, "reason", &CapabilityInfo::reason));
  }
};

struct ModuleInfo {
  std::string name;
  std::string version;
  std::string summary;
  std::string file;
  std::string digest;  // SHA-256 of the file, hexadecimal
  std::string section;
  std::vector<std::string> provides;
  std::vector<std::string> needs;
  std::vector<std::string> asks;
  std::string signer;          // the trusted key's name
  std::string carrier;         // "in-process" or "worker"; empty: it is not loaded
  std::string state;           // "running", "waiting to start again"
  std::uint32_t restarts = 0;  // of its process
  std::string last_end;        // why its process ended the last time; empty: it never did
  Microseconds restart_in{};   // while it waits: until the next attempt
  static constexpr std::string_view kMessage = "vmsec.ModuleInfo";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "name", &ModuleInfo::name), wire::field(2, "version", &ModuleInfo::version),
                        wire::field(3, "summary", &ModuleInfo::summary), wire::field(4, "file", &ModuleInfo::file),
                        wire::field(5, "digest", &ModuleInfo::digest), wire::field(6, "section", &ModuleInfo::section),
                        wire::field(7, "provides", &ModuleInfo::provides), wire::field(8, "needs", &ModuleInfo::needs),
                        wire::field(9, "asks", &ModuleInfo::asks), wire::field(10, "signer", &ModuleInfo::signer),
                        wire::field(11, "carrier", &ModuleInfo::carrier), wire::field(12, "state", &ModuleInfo::state),
                        wire::field(13, "restarts", &ModuleInfo::restarts),
                        wire::field(14, "last_end", &ModuleInfo::last_end),
                        wire::field(15, "restart_in", &ModuleInfo::restart_in));
  }
};

struct ModuleRestart {
  std::string name;
  std::string by;  // as its caller names who asked; the record has the caller's user too
  static constexpr std::string_view kMessage = "vmsec.ModuleRestart";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "name", &ModuleRestart::name), wire::field(2, "by", &ModuleRestart::by));
  }
};

struct PluginInfo {
  std::string name;
  std::string summary;
  std::string file;
  std::string problem;  // why it does not load here; empty: it does
  static constexpr std::string_view kMessage = "vmsec.PluginInfo";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "name", &PluginInfo::name), wire::field(2, "summary", &PluginInfo::summary),
                        wire::field(3, "file", &PluginInfo::file), wire::field(4, "problem", &PluginInfo::problem));
  }
};

struct HostInfo {
  std::string name;
  std::string version;
  std::string backend;
  std::string backend_uri;
  std::string listen;       // where peers reach it; empty: nowhere
  std::string policy_file;  // the host's own
  std::string state_dir;
  std::vector<CapabilityInfo> capabilities;
  std::vector<ModuleInfo> modules;
  std::vector<PluginInfo> plugins;
  std::vector<std::string> peers;
  std::string policy_in_force;  // the file that it came from; empty: none is in force
  std::string policy_digest;    // SHA-256 of its text, hexadecimal
  std::vector<Withdrawal> withdrawals;
  static constexpr std::string_view kMessage = "vmsec.HostInfo";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "name", &HostInfo::name), wire::field(2, "version", &HostInfo::version),
        wire::field(3, "backend", &HostInfo::backend), wire::field(4, "backend_uri", &HostInfo::backend_uri),
        wire::field(5, "listen", &HostInfo::listen), wire::field(6, "policy_file", &HostInfo::policy_file),
        wire::field(7, "state_dir", &HostInfo::state_dir), wire::field(8, "capabilities", &HostInfo::capabilities),
        wire::field(9, "modules", &HostInfo::modules), wire::field(10, "plugins", &HostInfo::plugins),
        wire::field(11, "peers", &HostInfo::peers), wire::field(12, "policy_in_force", &HostInfo::policy_in_force),
        wire::field(13, "policy_digest", &HostInfo::policy_digest),
        wire::field(14, "withdrawals", &HostInfo::withdrawals));
  }
};

struct PolicyText {
  std::string text;  // TOML; empty: the host's own policy file
  std::string file;  // its name in messages
  static constexpr std::string_view kMessage = "vmsec.PolicyText";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "text", &PolicyText::text), wire::field(2, "file", &PolicyText::file));
  }
};

// What a policy changes, or would change, at one domain by one module.
struct DomainChanges {
  Uuid domain;
  std::string name;
  std::string module;
  std::vector<Change> changes;
  std::string error;  // why it could not be read or applied; empty: it could
  Code code = Code::ok;
  static constexpr std::string_view kMessage = "vmsec.DomainChanges";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "domain", &DomainChanges::domain), wire::field(2, "name", &DomainChanges::name),
                        wire::field(3, "module", &DomainChanges::module),
                        wire::field(4, "changes", &DomainChanges::changes),
                        wire::field(5, "error", &DomainChanges::error), wire::field(6, "code", &DomainChanges::code));
  }
};

// What a policy gives a module and withdraws from it, compared with the one in force.
struct GrantChange {
  std::string module;
  std::string vms;                   // for people: `VM "web-*"`, `tag "batch"`
  std::vector<std::string> granted;  // interfaces
  std::vector<std::string> withdrawn;
  std::vector<std::string> domains;  // names of those here that it changes something for
  std::string vm = {};               // a pattern for names; else tag is set
  std::string tag = {};
  std::vector<TenantDomain> here = {};  // the same VMs as `domains`, by id too
  static constexpr std::string_view kMessage = "vmsec.GrantChange";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "module", &GrantChange::module), wire::field(2, "vms", &GrantChange::vms),
                        wire::field(3, "granted", &GrantChange::granted),
                        wire::field(4, "withdrawn", &GrantChange::withdrawn),
                        wire::field(5, "domains", &GrantChange::domains), wire::field(6, "vm", &GrantChange::vm),
                        wire::field(7, "tag", &GrantChange::tag), wire::field(8, "here", &GrantChange::here));
  }
};

struct PolicyReport {
  std::string file;
  std::vector<Finding> findings;       // any: nothing was read or applied
  std::vector<DomainChanges> domains;  // those that a rule matches
  std::vector<GrantChange> grants;     // of diff and apply
  std::vector<Finding> warnings;       // what is allowed, and hardly meant
  std::vector<Withdrawal> withdrawn;   // of diff and apply: what it grants and an operator took back; stays so
  static constexpr std::string_view kMessage = "vmsec.PolicyReport";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "file", &PolicyReport::file), wire::field(2, "findings", &PolicyReport::findings),
        wire::field(3, "domains", &PolicyReport::domains), wire::field(4, "grants", &PolicyReport::grants),
        wire::field(5, "warnings", &PolicyReport::warnings), wire::field(6, "withdrawn", &PolicyReport::withdrawn));
  }
};

// Any thread. Each apply_policy() runs alone, and so does each change of withdrawals and choices.
class HostControl {
 public:
  virtual ~HostControl() = default;
  virtual Result<HostInfo> info(const Empty&) = 0;
  // Findings are an answer, not an Error.
  virtual Result<PolicyReport> check_policy(const PolicyText&) = 0;
  // What apply_policy() would change. Reads under the grants that the policy itself
  // gives, and changes nothing: a module that tries to is refused.
  virtual Result<PolicyReport> diff_policy(const PolicyText&) = 0;
  // Applies what it can; a domain that fails is reported and the others go on.
  // Applying twice changes nothing the second time. The grants of an applied
  // policy are in force from then on, until the agent ends or another is applied.
  virtual Result<PolicyReport> apply_policy(const PolicyText&) = 0;

  // The grants of the policy in force, and what was withdrawn of them.
  virtual Result<GrantList> list_grants(const Empty&) = 0;
  // From when it answers, each call of the module that it is about answers
  // `revoked`, over restarts and other policies, until restored. Calls that are
  // under way end as they would, and so do migrations that had begun.
  // `not_found`: no such module is loaded. `io`: it holds, until the agent ends.
  virtual Result<Withdrawal> revoke_grant(const GrantRevocation&) = 0;
  // Ends a withdrawal. `not_found`: there is none of this id. After any error it stands.
  virtual Result<Withdrawal> restore_grant(const GrantRestoration&) = 0;

  // `not_found`: the policy in force has no tenant of this name.
  virtual Result<TenantList> list_tenants(const TenantRef&) = 0;
  // A tenant wants a module for one of its VMs. `denied`, with a record: the VM is
  // not this tenant's, or the module is not offered to it. Who asks was
  // authenticated by the caller. Choosing again changes nothing.
  virtual Result<Empty> choose_module(const TenantChoice&) = 0;
  // And wants it no more, whether or not the VM is still there. `not_found`: it was not chosen.
  virtual Result<Empty> drop_module(const TenantChoice&) = 0;

  // Begins a module's process again now, whether it runs or waits for its next
  // attempt: answers when the new instance is there. What the old one had under way
  // ends as after a crash. `not_found`; `wrong_state`: it runs in the agent's own
  // process; `unavailable`: it did not start, and is tried again later.
  virtual Result<ModuleInfo> restart_module(const ModuleRestart&) = 0;
};

template <>
struct Methods<HostControl> {
  static constexpr std::string_view kName = "vmsec.HostControl";
  static constexpr auto table() {
    return std::make_tuple(
        method(1, "Info", &HostControl::info), method(2, "CheckPolicy", &HostControl::check_policy),
        method(3, "DiffPolicy", &HostControl::diff_policy), method(4, "ApplyPolicy", &HostControl::apply_policy),
        method(5, "ListGrants", &HostControl::list_grants), method(6, "RevokeGrant", &HostControl::revoke_grant),
        method(7, "RestoreGrant", &HostControl::restore_grant), method(8, "ListTenants", &HostControl::list_tenants),
        method(9, "ChooseModule", &HostControl::choose_module), method(10, "DropModule", &HostControl::drop_module),
        method(11, "RestartModule", &HostControl::restart_module));
  }
};

template <>
class Proxy<HostControl> final : public Remote<HostControl> {
 public:
  using Remote::Remote;
  Result<HostInfo> info(const Empty& r) override { return invoke<1>(r); }
  Result<PolicyReport> check_policy(const PolicyText& r) override { return invoke<2>(r); }
  Result<PolicyReport> diff_policy(const PolicyText& r) override { return invoke<3>(r); }
  Result<PolicyReport> apply_policy(const PolicyText& r) override { return invoke<4>(r); }
  Result<GrantList> list_grants(const Empty& r) override { return invoke<5>(r); }
  Result<Withdrawal> revoke_grant(const GrantRevocation& r) override { return invoke<6>(r); }
  Result<Withdrawal> restore_grant(const GrantRestoration& r) override { return invoke<7>(r); }
  Result<TenantList> list_tenants(const TenantRef& r) override { return invoke<8>(r); }
  Result<Empty> choose_module(const TenantChoice& r) override { return invoke<9>(r); }
  Result<Empty> drop_module(const TenantChoice& r) override { return invoke<10>(r); }
  Result<ModuleInfo> restart_module(const ModuleRestart& r) override { return invoke<11>(r); }
};

}  // namespace vmsec
