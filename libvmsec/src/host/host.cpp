#include "vmsec/host.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "host/authority_service.hpp"
#include "host/carrier.hpp"
#include "host/enforcer.hpp"
#include "host/grant_ledger.hpp"
#include "host/grant_service.hpp"
#include "host/journal_service.hpp"
#include "host/local_identity.hpp"
#include "host/log.hpp"
#include "host/measure.hpp"
#include "host/modules_service.hpp"
#include "host/own_enforcement.hpp"
#include "host/peer_server.hpp"
#include "host/peers_service.hpp"
#include "host/policy_service.hpp"
#include "host/record_limiter.hpp"
#include "host/records_service.hpp"
#include "host/registry.hpp"
#include "host/tenant_service.hpp"
#include "identity/openssl.hpp"
#include "loader/plugin_file.hpp"
#include "rpc/agent_server.hpp"
#include "rpc/calling_user.hpp"
#include "vmsec/audit.hpp"
#include "vmsec/trust.hpp"
#include "vmsec/units.hpp"
#include "worker/worker_instance.hpp"

namespace vmsec {
namespace host {
namespace {

// A sanitizer's run-time needs what the sandbox of vmsec-worker takes away: a build
// with one, which is for tests alone, runs all modules in its own process.
#ifdef VMSEC_SANITIZED
constexpr bool kWithoutWorkers = true;
#else
constexpr bool kWithoutWorkers = false;
#endif

Status make_folder(const std::string& path) {
  if (path.empty()) return fail(Code::invalid_argument, "open host: state_dir and run_dir must be given");
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail(errno_error("make folder " + path));
  // One that others may write to would give them the host's records and sockets.
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) return fail(errno_error("look at folder " + path));
  if (!S_ISDIR(found.st_mode)) return fail(Code::already_exists, "folder " + path + ": it is no folder");
  if ((found.st_uid != ::geteuid() && found.st_uid != 0) || (found.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Code::denied, "folder " + path + ": it must be this user's or root's, and nobody else may write to it");
  return {};
}

class LocalHost final : public Host, private HostControl {
 public:
  explicit LocalHost(HostOptions options)
      : options_(std::move(options)), grants_(options_.trusted_without_policy, options_.name) {}
  ~LocalHost() override { shut_down(); }

  Status start() {
    if (options_.plugin_path.empty()) options_.plugin_path = {loader::installed_folder("plugins")};
    if (options_.module_path.empty()) options_.module_path = {loader::installed_folder("modules")};
    VMSEC_CHECK(make_folder(options_.state_dir));
    VMSEC_CHECK(make_folder(options_.run_dir));
    if (options_.module_pcr && options_.backend.module_log.empty())
      options_.backend.module_log = options_.state_dir + "/modules.log";
    VMSEC_CHECK(open_identity());
    VMSEC_TRY(Trust trust, Trust::read(options_.trust_file));
    trust_ = std::make_unique<Trust>(std::move(trust));
    VMSEC_CHECK(open_backend());
    for (const auto& [name, settings] : options_.modules) VMSEC_CHECK(load_module(name, settings));
    VMSEC_CHECK(adopt_policy());
    return options_.enforce ? start_enforcer() : Status();
  }

  Result<Packet> call(std::string_view interface, std::uint32_t method, Packet request) override {
    if (interface == Methods<HostControl>::kName)
      return dispatch(static_cast<HostControl&>(*this), method, std::move(request));
    if (!Capabilities::is_capability(interface)) return call_module(interface, method, std::move(request));
    Caller caller = Caller::host();
    caller.record = [this](const AuditEntry& entry) { return append("core", entry); };
    return capabilities_->call(interface, method, std::move(request), caller);
  }

  Status serve_peers() override {
    if (!context_) return fail(Code::wrong_state, "serve peers: the configuration has no [identity]");
    if (options_.listen.empty()) return fail(Code::wrong_state, "serve peers: the configuration has no host.listen");
    RecordLimits limits;
    limits.what = "refused connection";
    limits.burst = 16;
    refusals_ = std::make_unique<RecordLimiter>(
        [this](const std::string& module, const AuditEntry& entry) {
          write_log(LogLevel::warning, "host",
                    "refused a connection" + (entry.peer.empty() ? "" : " from " + entry.peer) + ": " + entry.detail);
          record(module, entry);
        },
        limits);
    VMSEC_TRY(peer_server_,
              PeerServer::start(
                  *context_, options_.listen, connections_,
                  [this](const std::string& module, std::uint32_t method, Packet packet) {
                    return registry_.call(module + ":" + std::string(Methods<PeerHandler>::kName), method,
                                          std::move(packet));
                  },
                  [this](const std::string& peer, const Error& error) { record_refused_peer(peer, error); }));
    write_log(LogLevel::info, "host", "peers reach " + options_.name + " at " + peer_server_->address());
    return {};
  }

  Status serve_control() override {
    VMSEC_TRY(agent_server_, rpc::AgentServer::start(*this, options_.control_socket));
    return {};
  }

  [[nodiscard]] std::string peer_address() const override { return peer_server_ ? peer_server_->address() : ""; }

  void shut_down() override {
    enforcer_.reset();
    enforcement_.reset();
    agent_server_.reset();
    connections_.shut_down_all();
    peer_server_.reset();
    refusals_.reset();
    registry_.clear();
  }

 private:
  // What a PeerHandler believes of its caller comes from the connection: so only
  // a connection's own server (serve_peers) may call it.
  Result<Packet> call_module(std::string_view interface, std::uint32_t method, Packet request) {
    if (interface.substr(interface.find(':') + 1) == Methods<PeerHandler>::kName)
      return fail(Code::denied, "call " + std::string(interface) + ": only other hosts' connections reach it");
    return registry_.call(interface, method, std::move(request));
  }

  Status open_identity() {
    const bool configured = !options_.identity.certificate.empty();
    auto identity = configured ? load_identity(options_) : local_identity(options_.state_dir, options_.name);
    if (!identity) return fail(identity.error());
    identity_ = std::move(*identity);
    if (configured) {
      if (identity_->name() != options_.name)
        return fail(Code::invalid_argument, "open host: host.name is \"" + options_.name + "\", its certificate is \"" +
                                                identity_->name() + "\"'s");
      VMSEC_TRY(context_, channel::TlsContext::create(*identity_));
    }
    AuditOptions audit;
    audit.former_keys = identity_->former_keys();
    audit.file_size = options_.audit_file_size.value;
    audit.keep_files = options_.audit_keep_files;
    VMSEC_TRY(audit_, AuditLog::open(options_.state_dir, *identity_, audit));
    open_limiters();
    return open_grants();
  }

  void open_limiters() {
    refused_calls_ = std::make_unique<RecordLimiter>([this](const std::string& who, const AuditEntry& entry) {
      write_log(LogLevel::warning, who, "refused: " + entry.detail);
      record(who, entry);
    });
    journal_records_ = std::make_unique<RecordLimiter>(
        [this](const std::string& who, const AuditEntry& entry) { record(who, entry); }, journal_record_limits());
    // Lines are no records: that there were too many is told in the log alone.
    journal_lines_ =
        std::make_unique<RecordLimiter>([](const std::string&, const AuditEntry&) {}, journal_line_limits());
  }

  // Before any module runs: what was withdrawn is so from its first call on.
  Status open_grants() {
    VMSEC_CHECK(ledger_.keep_in(std::filesystem::path(options_.state_dir) / "grants"));
    for (const Withdrawal& each : grants_.standing()->withdrawals)
      write_log(LogLevel::info, "host", text_of(each) + " stands");
    return {};
  }

  Status open_backend() {
    VMSEC_TRY(const std::string file, loader::find_object(options_.plugin, options_.plugin_path, "plugin"));
    auto opened = loader::PluginFile::open(file, *trust_, [this](const std::string& digest) {
      return measure_object(options_, "plugin", options_.plugin, digest);
    });
    if (!opened) return refuse_object("plugin", opened.error());
    loader::PluginFile plugin = std::move(*opened);
    VMSEC_CHECK(append(
        "core", {"plugin.load",
                 Outcome::succeeded,
                 {},
                 {},
                 options_.plugin + ", SHA-256 " + plugin.digest() + ", signed by " + to_string(plugin.signers())}));
    plugin_ = std::make_unique<loader::PluginFile>(std::move(plugin));
    BackendOptions backend = options_.backend;
    if (backend.run_dir.empty()) backend.run_dir = options_.run_dir + "/" + options_.plugin;
    if (backend.state_dir.empty()) backend.state_dir = options_.state_dir + "/" + options_.plugin;
    VMSEC_CHECK(make_folder(backend.run_dir));
    VMSEC_CHECK(make_folder(backend.state_dir));
    VMSEC_TRY(backend_, plugin_->entry().open(backend));
    capabilities_ = std::make_unique<Capabilities>(*backend_);
    VMSEC_CHECK(capabilities_->names().keep_in(std::filesystem::path(options_.state_dir) / "domain.names"));
    policy_ = std::make_unique<PolicyService>(registry_, *capabilities_, grants_, options_.policy_file);
    const auto write = [this](const AuditEntry& entry) { return append("core", entry); };
    grant_service_ = std::make_unique<GrantService>(registry_, *capabilities_, grants_, ledger_, write);
    tenants_ = std::make_unique<TenantService>(
        *capabilities_, grants_, ledger_, write,
        [this](const std::string& tenant, const AuditEntry& entry) { record_refused_choice(tenant, entry); });
    return {};
  }

  Status load_module(const std::string& name, const Settings& settings) {
    VMSEC_TRY(const std::string path, loader::find_object(name, options_.module_path, "module"));
    auto opened = open_module(name, path);
    if (!opened) return refuse_object("module", opened.error());
    loader::ModuleFile file = std::move(*opened);
    auto link = std::make_unique<ModuleLink>(
        file.manifest(), *capabilities_, grants_,
        [this](const std::string& module, std::string_view interface, std::uint32_t method, const Uuid& domain,
               const std::string& cause) { record_refused_call(module, interface, method, domain, cause); },
        [this, name](const AuditEntry& entry) { return append(name, entry); });
    VMSEC_CHECK(offer_services(*link));
    auto module = std::make_unique<LoadedModule>(LoadedModule{std::move(file), std::move(link), nullptr});
    module->carrier = runs_here(name) ? "in-process" : "worker";
    // Measured and recorded before its code runs.
    VMSEC_CHECK(measure_object(options_, "module", name, module->file.digest()));
    VMSEC_CHECK(append("core", {"module.load", Outcome::succeeded, {}, {}, loaded_text(*module)}));
    auto instance = start_instance(name, *module, settings);
    if (!instance) return fail(instance.error().in("start module " + name));
    module->instance = std::move(*instance);
    registry_.add(std::move(module));
    return {};
  }

  [[nodiscard]] bool in_process(const std::string& module) const {
    return std::ranges::find(options_.in_process, module) != options_.in_process.end();
  }

  [[nodiscard]] bool runs_here(const std::string& module) const { return kWithoutWorkers || in_process(module); }

  Result<loader::ModuleFile> open_module(const std::string& name, const std::string& path) const {
    VMSEC_TRY(loader::ModuleFile file, loader::ModuleFile::open(path, *trust_));
    if (file.manifest().name != name)
      return fail(Code::invalid_argument,
                  "load module " + path + ": its manifest names it \"" + file.manifest().name + "\"");
    if (in_process(name)) VMSEC_CHECK(trust_->check_in_process(path, file.signers()));
    if (!runs_here(name)) VMSEC_CHECK(check_worker(file.manifest(), options_.modules.at(name), budget_of(name)));
    return file;
  }

  [[nodiscard]] WorkerBudget budget_of(const std::string& module) const {
    const auto budget = options_.workers.find(module);
    return budget == options_.workers.end() ? WorkerBudget() : budget->second;
  }

  static std::string loaded_text(const LoadedModule& module) {
    const ModuleInfo info = describe(module);
    return info.name + " " + info.version + ", SHA-256 " + info.digest + ", signed by " + info.signer + ", " +
           info.carrier;
  }

  // What was refused stays refused, also when its record cannot be written.
  std::unexpected<Error> refuse_object(const std::string& kind, const Error& error) {
    record("core", {kind + ".refuse", Outcome::refused, {}, {}, error.message});
    return fail(error);
  }

  // The carrier: a process of its own, but for those that host.in_process names.
  Result<std::unique_ptr<loader::ModuleInstance>> start_instance(const std::string& name, const LoadedModule& module,
                                                                 const Settings& settings) {
    const vmsec_host host = module.link->host();
    if (runs_here(name)) return loader::start_in_process(module.file, host, settings);
    worker::WorkerOptions options;
    options.budget = budget_of(name);
    options.hooks.refused = [name](const std::string& what) { write_log(LogLevel::warning, name, what); };
    options.hooks.ended = [this, name](const std::string& cause) { note_end(name, cause); };
    options.hooks.release = [this, name, link = module.link.get()] {
      connections_.shut_down_of(name);  // again: one may have been opened meanwhile
      link->release();
    };
    return worker::start_in_worker(module.file, host, settings, std::move(options));
  }

  // What its calls here wait for from other hosts ends at once: they return, and can be waited for.
  void note_end(const std::string& name, const std::string& cause) {
    write_log(LogLevel::error, name, "its process ended: " + cause);
    record("core", AuditEntry{"module.end", Outcome::failed, {}, {}, "module " + name + ": " + cause});
    connections_.shut_down_of(name);
  }

  Status offer_services(ModuleLink& link) {
    const std::string& name = link.manifest().name;
    link.offer<Records>(std::make_unique<RecordsService>(
        options_.state_dir + "/records." + name, RecordQuota{budget_of(name).records, budget_of(name).record_count}));
    link.offer<Journal>(std::make_unique<JournalService>(name, *audit_, *journal_records_, *journal_lines_));
    link.offer<Modules>(std::make_unique<ModulesService>(
        link.manifest(), connections_, [this](std::string_view interface) { return registry_.provider_of(interface); },
        [this](std::string_view interface, std::uint32_t method, Packet packet) {
          return call_module(interface, method, std::move(packet));
        }));
    link.offer<Peers>(std::make_unique<PeersService>(name, context_, options_.peers, connections_));
    VMSEC_TRY(SpentTickets spent, SpentTickets::open(options_.state_dir));
    if (const auto pruned = spent.prune(identity_->now()); !pruned)
      write_log(LogLevel::warning, "host", "forget tickets that have expired: " + pruned.error().message);
    link.offer<Authority>(std::make_unique<AuthorityService>(name, *identity_, std::move(spent), connections_));
    return {};
  }

  void record_refused_call(const std::string& module, std::string_view interface, std::uint32_t method,
                           const Uuid& domain, const std::string& cause) {
    const std::string name = method == 0 ? "" : "." + Capabilities::method_name(interface, method);
    const std::string what = std::string(interface) + name;
    refused_calls_->tell(
        {module, Standing::known, Capabilities::call_name(interface, method), known_domain(domain), module},
        AuditEntry{"grant.refuse", Outcome::refused, domain, {}, what + ": " + cause});
  }

  // A name that no policy has is whatever its caller likes.
  void record_refused_choice(const std::string& tenant, const AuditEntry& entry) {
    const auto policy = grants_.current();
    const bool known = policy && policy->tenant(tenant) != nullptr;
    refused_calls_->tell({known ? "tenant " + tenant : "tenants that are none", Standing::known, entry.action,
                          known_domain(entry.domain), "core"},
                         entry);
  }

  // Nil for one that this host does not have: a caller could make up as many as it likes.
  Uuid known_domain(const Uuid& domain) {
    if (domain.is_nil() || capabilities_->names().of(domain).name.empty()) return {};
    return domain;
  }

  void record_refused_peer(const std::string& peer, const Error& error) {
    // An address is a stranger's; a name is in a certificate of our authority's.
    const bool has_port = peer.find(':') != std::string::npos;
    refusals_->tell({has_port ? peer.substr(0, peer.rfind(':')) : peer,
                     has_port ? Standing::stranger : Standing::known,
                     "peer.refuse",
                     {},
                     "core"},
                    AuditEntry{"peer.refuse", Outcome::refused, {}, peer, error.message});
  }

  Status append(const std::string& module, const AuditEntry& entry) {
    VMSEC_CHECK(audit_->append(module, entry));
    return {};
  }

  // What was refused stays refused, also when its record cannot be written.
  void record(const std::string& module, const AuditEntry& entry) {
    const auto written = audit_->append(module, entry);
    if (!written) write_log(LogLevel::error, "audit", written.error().message);
  }

  // HostControl
  Result<HostInfo> info(const Empty&) override {
    HostInfo info;
    info.name = options_.name;
    info.version = VMSEC_VERSION;
    info.backend = backend_->name();
    info.backend_uri = options_.backend.uri;
    info.listen = peer_address();
    info.policy_file = options_.policy_file;
    info.state_dir = options_.state_dir;
    const auto in_force = policy_->in_force();
    info.policy_in_force = in_force.file;
    info.policy_digest = in_force.digest;
    info.withdrawals = grant_service_->withdrawals();
    for (const auto interface : kGrantableInterfaces) {
      const auto available = capabilities_->available(interface);
      info.capabilities.push_back(
          {std::string(interface), available.has_value(), available ? std::string() : available.error().message});
    }
    for (const auto& module : registry_.modules()) info.modules.push_back(describe(*module));
    for (const auto& name : loader::list_objects(options_.plugin_path)) info.plugins.push_back(describe_plugin(name));
    for (const auto& [name, address] : options_.peers) info.peers.push_back(name);
    return info;
  }

  PluginInfo describe_plugin(const std::string& name) const {
    auto file = loader::find_object(name, options_.plugin_path, "plugin");
    if (!file) return {name, {}, {}, file.error().message};
    // Of those that lie beside the one in use, nothing runs.
    auto summary = plugin_summary(*file, *trust_);
    if (!summary) return {name, {}, *file, summary.error().message};
    return {name, std::move(*summary), *file, {}};
  }

  Result<PolicyReport> check_policy(const PolicyText& text) override { return policy_->check(text); }
  Result<PolicyReport> diff_policy(const PolicyText& text) override { return policy_->diff(text); }
  // Two records: before the new grants are in force, and how it ended.
  Result<PolicyReport> apply_policy(const PolicyText& text) override {
    auto report = policy_->apply(text, [this](const std::string& file, const std::string& digest) {
      return append("core", {"policy.apply", Outcome::unknown, {}, {}, "begins: " + named(file, digest)});
    });
    if (!report || !report->findings.empty()) return report;
    const auto changed =
        std::ranges::count_if(report->domains, [](const auto& entry) { return !entry.changes.empty(); });
    const auto grants = report->grants.size();
    const auto failed = std::ranges::count_if(report->domains, [](const auto& entry) { return !entry.error.empty(); });
    const std::string detail = report->file + ": " + std::to_string(changed) + " changed, " + std::to_string(failed) +
                               " failed; grants of " + std::to_string(grants) + " rules changed";
    const Outcome outcome = failed == 0 ? Outcome::succeeded : Outcome::failed;
    if (Status ended = append("core", {"policy.apply", outcome, {}, {}, detail}); !ended)
      return fail(ended.error().in("apply policy " + report->file + ": done, but its end is not recorded"));
    return report;
  }

  Result<GrantList> list_grants(const Empty&) override { return grant_service_->list(); }
  Result<Withdrawal> revoke_grant(const GrantRevocation& request) override {
    return grant_service_->revoke(request, asker(request.by));
  }
  Result<Withdrawal> restore_grant(const GrantRestoration& request) override {
    return grant_service_->restore(request, asker(request.by));
  }
  Result<TenantList> list_tenants(const TenantRef& request) override { return tenants_->list(request); }
  Result<Empty> choose_module(const TenantChoice& request) override {
    return tenants_->choose(request, asker(request.by));
  }
  Result<Empty> drop_module(const TenantChoice& request) override { return tenants_->drop(request, asker(request.by)); }

  // Recorded before and after: what it has under way ends.
  Result<ModuleInfo> restart_module(const ModuleRestart& request) override {
    const std::string what = "restart module " + units::quoted(request.name);
    const auto module = registry_.hold(request.name);
    if (!module) return fail(Code::not_found, what + ": none of this name is loaded");
    if (module->carrier == "in-process") return fail(module->instance->restart({}).error().in(what));
    const std::string who = asker(request.by);
    VMSEC_CHECK(
        append("core", {"module.restart", Outcome::unknown, {}, {}, "begins: " + request.name + "; by " + who}));
    const Status begun = module->instance->restart("restarted by " + who);
    const std::string detail = request.name + "; by " + who + (begun ? "" : "; " + begun.error().message);
    const Status ended =
        append("core", {"module.restart", begun ? Outcome::succeeded : Outcome::failed, {}, {}, detail});
    if (!begun) return fail(begun.error().in(what));
    if (!ended) return fail(ended.error().in(what + ": done, but its end is not recorded"));
    return describe(*module);
  }

  // Whom the kernel names, and whom the caller does.
  static std::string asker(const std::string& by) {
    const auto user = rpc::CallingUser::current();
    const std::string known = user ? "user " + std::to_string(*user) : std::string("the host's own process");
    return by.empty() ? known : known + " for " + by;
  }

  Status adopt_policy() {
    return policy_->adopt_file([this](const std::string& file, const std::string& digest) {
      return append("core", {"policy.adopt", Outcome::succeeded, {}, {}, named(file, digest)});
    });
  }

  Status start_enforcer() {
    enforcement_ = std::make_unique<OwnEnforcement>(
        *backend_, *policy_, registry_, grants_, [this](const std::string& module, const AuditEntry& entry) {
          if (entry.outcome == Outcome::failed) write_log(LogLevel::error, "enforce", module + ": " + entry.detail);
          record(module, entry);
        });
    enforcer_ = std::make_unique<Enforcer>(*enforcement_);
    VMSEC_CHECK(enforcer_->begin());
    enforcer_->run();
    return {};
  }

  static std::string named(const std::string& file, const std::string& digest) {
    return file + ", SHA-256 " + identity::hex(digest);
  }

  // Members are destroyed from the bottom up: servers, modules, then what those use.
  HostOptions options_;
  Grants grants_;
  GrantLedger ledger_{grants_};
  Connections connections_;
  std::optional<HostIdentity> identity_;
  std::optional<channel::TlsContext> context_;
  std::unique_ptr<AuditLog> audit_;
  std::unique_ptr<Trust> trust_;
  std::unique_ptr<RecordLimiter> refused_calls_;
  std::unique_ptr<RecordLimiter> journal_records_;
  std::unique_ptr<RecordLimiter> journal_lines_;
  std::unique_ptr<loader::PluginFile> plugin_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Capabilities> capabilities_;
  Registry registry_;
  std::unique_ptr<PolicyService> policy_;
  std::unique_ptr<GrantService> grant_service_;
  std::unique_ptr<TenantService> tenants_;
  std::unique_ptr<OwnEnforcement> enforcement_;
  std::unique_ptr<Enforcer> enforcer_;
  std::unique_ptr<RecordLimiter> refusals_;
  std::unique_ptr<PeerServer> peer_server_;
  std::unique_ptr<rpc::AgentServer> agent_server_;
};

}  // namespace
}  // namespace host

Host::~Host() = default;

Result<std::shared_ptr<Host>> open_host(HostOptions options) {
  auto host = std::make_shared<host::LocalHost>(std::move(options));
  VMSEC_CHECK(host->start());
  return std::shared_ptr<Host>(std::move(host));
}

}  // namespace vmsec
