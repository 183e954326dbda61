// A whole Host on the simulated hypervisor, with the toy module: opened, called, refused, audited.
#include "vmsec/host.hpp"

#include "libvmsec/host/fake_backend.hpp"
#include "paths.hpp"
#include "sanitized.hpp"
#include "vmsec/audit.hpp"
#include "vmsec/service/enforcement.hpp"
#include "vmsec/trust.hpp"

namespace vmsec::test {
namespace {

struct Home {
  Home() {
    fs::create_directory(dir.path() / "domains");
    spit(dir.path() / "domains" / "web-1.toml", "name = \"web-1\"\nuuid = \"" + uuid_of(1).text() +
                                                    "\"\nmemory = \"4 MiB\"\n[workload]\npattern = \"idle\"\n");
    options.name = "host-a";
    options.state_dir = dir.path() / "state";
    options.run_dir = dir.path() / "run";
    options.control_socket = dir.path() / "vmsecd.sock";
    options.plugin = "sim";
    options.plugin_path = {std::string(VMSEC_BINARY_DIR) + "/lib/vmsec/plugins"};
    options.module_path = {std::string(VMSEC_BINARY_DIR) + "/test/toys"};
    options.backend.uri = "sim:host-a";
    options.backend.settings["domains"] = dir.path() / "domains";
    options.modules["toy"];
  }
  std::vector<AuditRecord> acts() const { return good(read_audit(fs::path(options.state_dir) / "audit.log")); }

  TempDir dir;
  HostOptions options;
};

EnforcementTarget level(std::int64_t value) {
  Setting setting;
  setting.path = "level";
  setting.type = SettingType::integer;
  setting.integer = value;
  return {uuid_of(1), Settings{{setting}}};
}

const std::string kPolicy =
    "version = 1\n[[vm]]\nmatch = \"web-*\"\n[vm.toy]\nlevel = 5\n" + grant("toy", "web-*", R"("vmsec.DomainControl")");

}  // namespace

TEST_CASE("a host without a policy grants nothing, and its audit log says what was refused") {
  Home home;
  const auto host = good(open_host(home.options));
  CHECK(good(host->open<DomainControl>()->list({})).domains.size() == 1);  // the operator sees all
  CHECK(code_of(host->open<Enforcement>()->apply(level(3))) == Code::denied);
  const auto acts = home.acts();
  REQUIRE_FALSE(acts.empty());
  CHECK(acts.back().module == "toy");
  CHECK(acts.back().entry.action == "grant.refuse");
  CHECK(acts.back().entry.outcome == Outcome::refused);
  CHECK(acts.back().entry.domain == uuid_of(1));
}

TEST_CASE("what cannot be measured is not loaded, where it is to be measured") {
  Home home;
  home.options.module_pcr = 11;
  const auto no_tpm = open_host(home.options);
  REQUIRE_FALSE(no_tpm);
  CHECK(no_tpm.error().message.find("measure plugin sim into PCR 11: tpm.module_pcr is configured, and no tpm.tcti") !=
        std::string::npos);
  home.options.backend.tpm_tcti = "swtpm:path=" + (home.dir.path() / "nobody.sock").string();
  const auto unreachable = open_host(home.options);
  REQUIRE_FALSE(unreachable);
  CHECK(unreachable.error().message.find("measure plugin sim into PCR 11: ") != std::string::npos);
  for (const auto& act : home.acts()) CHECK(act.entry.action != "plugin.load");
}

TEST_CASE("who asks what a host is runs no code of the plugins that lie beside its own") {
  Home home;
  home.options.plugin_path.push_back(std::string(VMSEC_BINARY_DIR) + "/test/plugins_beside");
  const auto host = good(open_host(home.options));
  const auto plugins = good(host->open<HostControl>()->info({})).plugins;
  const auto loud = std::ranges::find(plugins, "loud", &PluginInfo::name);
  REQUIRE(loud != plugins.end());
  CHECK(loud->problem.empty());
  CHECK(loud->summary == "Says that it ran");
  CHECK(std::getenv("VMSEC_TEST_LOUD_PLUGIN") == nullptr);
  const auto own = std::ranges::find(plugins, "sim", &PluginInfo::name);
  REQUIRE(own != plugins.end());
  CHECK_THAT(own->summary, Catch::Contains("simulated"));
}

TEST_CASE("a policy is applied and audited; without its grant the module is revoked") {
  Home home;
  const auto host = good(open_host(home.options));
  const auto control = host->open<HostControl>();
  auto report = good(control->apply_policy({kPolicy, "web.toml"}));
  REQUIRE(report.domains.size() == 1);
  CHECK(report.domains[0].changes.size() == 1);
  CHECK(home.acts().back().entry.action == "policy.apply");
  CHECK(home.acts().back().entry.outcome == Outcome::succeeded);
  CHECK(good(control->apply_policy({kPolicy, "web.toml"})).domains[0].changes.empty());

  report = good(control->apply_policy({kPolicy.substr(0, kPolicy.find("[[grant]]")) + grant("toy", "web-1", "") +
                                           grant("toy", "web-*", R"("vmsec.DomainControl")"),
                                       "bare.toml"}));
  CHECK(report.domains[0].code == Code::revoked);
  CHECK(code_of(host->open<Enforcement>()->apply(level(3))) == Code::revoked);
  bool failed = false;
  for (const auto& act : home.acts())
    failed = failed || (act.entry.action == "policy.apply" && act.entry.outcome == Outcome::failed);
  CHECK(failed);  // an apply in which a domain failed is not written down as done
}

TEST_CASE("a module that is refused in a loop fills no disk, and the count of its calls is on record at the end") {
  Home home;
  auto host = good(open_host(home.options));
  const auto refused = [&] {
    return std::ranges::count(home.acts(), "grant.refuse", [](const auto& act) { return act.entry.action; });
  };
  for (int i = 0; i < 3000; ++i) REQUIRE(code_of(host->open<Enforcement>()->apply(level(3))) == Code::denied);
  CHECK(refused() <= 1 + 32 + 2);
  host.reset();
  const auto last = home.acts().back();
  CHECK(last.module == "toy");
  CHECK(last.entry.action == "grant.refuse");
  CHECK_THAT(last.entry.detail, Catch::Contains("more refused calls were only counted: vmsec.DomainControl.Get"));
}

TEST_CASE("refusals that tenants make up hide neither a tenant's of the policy nor a module's") {
  Home home;
  const auto host = good(open_host(home.options));
  const auto control = host->open<HostControl>();
  good(control->apply_policy(
      {"version = 1\n[[tenant]]\nname = \"red\"\nvm = \"red-*\"\noffers = [\"toy\"]\n", "t.toml"}));
  for (int i = 0; i < 500; ++i)
    CHECK_FALSE(control->choose_module({"made-up-" + std::to_string(i), uuid_of(static_cast<unsigned>(i)), "toy", {}}));
  CHECK_FALSE(control->choose_module({"red", uuid_of(1), "toy", {}}));
  CHECK_THAT(home.acts().back().entry.detail, Catch::Contains("\"red\""));
  CHECK(code_of(host->open<Enforcement>()->apply(level(3))) == Code::denied);
  CHECK(home.acts().back().module == "toy");
  CHECK(std::ranges::count(home.acts(), "tenant.choose", [](const auto& act) { return act.entry.action; }) < 50);
}

TEST_CASE("what was withdrawn is so before the next process's modules make their first call") {
  Home home;
  home.options.trusted_without_policy = true;
  {
    const auto host = good(open_host(home.options));
    CHECK(host->open<Enforcement>()->apply(level(3)));
    const auto done = good(host->open<HostControl>()->revoke_grant({"toy", "web-*", {}, {}, "advisory", "bob"}));
    CHECK(done.by == "the host's own process for bob");
    CHECK_FALSE(done.keeps_memory);
    CHECK(code_of(host->open<Enforcement>()->apply(level(3))) == Code::revoked);
  }
  const auto host = good(open_host(home.options));
  CHECK(code_of(host->open<Enforcement>()->apply(level(3))) == Code::revoked);
  CHECK(good(host->open<HostControl>()->info({})).withdrawals.size() == 1);
  CHECK(host->open<HostControl>()->restore_grant({1, "patched", {}}));
  CHECK(host->open<Enforcement>()->apply(level(3)));
}

TEST_CASE("what an operator does to a domain is on record before it happens, and how it ended after") {
  Home home;
  const auto host = good(open_host(home.options));
  const auto begun = home.acts().size();
  CHECK(host->open<DomainControl>()->pause({uuid_of(1)}));
  CHECK(code_of(host->open<DomainControl>()->resume({uuid_of(9)})) == Code::not_found);
  CHECK(host->open<ResourceControl>()->set({uuid_of(1), {}}));
  CHECK(good(host->open<DomainControl>()->list({})).domains.size() == 1);  // no act
  auto acts = home.acts();
  acts.erase(acts.begin(), acts.begin() + static_cast<std::ptrdiff_t>(begun));
  REQUIRE(acts.size() == 6);
  for (const auto& act : acts) CHECK(act.module == "core");
  CHECK(acts[0].entry.action == "domain.pause");
  CHECK(acts[0].entry.outcome == Outcome::unknown);
  CHECK(acts[0].entry.domain == uuid_of(1));
  CHECK(acts[1].entry.outcome == Outcome::succeeded);
  CHECK(acts[3].entry.action == "domain.resume");
  CHECK(acts[3].entry.outcome == Outcome::failed);
  CHECK(acts[3].entry.domain == uuid_of(9));
  CHECK_THAT(acts[3].entry.detail, Catch::Contains(uuid_of(9).text()));
  CHECK(acts[5].entry.action == "domain.set_resources");
}

TEST_CASE("a module that tries to define a domain is refused, trusted or not, and the audit log says so") {
  Home home;
  home.options.trusted_without_policy = GENERATE(false, true);
  const auto host = good(open_host(home.options));
  const auto refused = host->open<Enforcement>()->apply(level(14));
  CHECK(code_of(refused) == Code::denied);
  if (!home.options.trusted_without_policy) return;  // it was refused the domain before
  CHECK_THAT(message_of(refused), Catch::Contains("vmsec.Interchange") && Catch::Contains("for no module"));
  CHECK(home.acts().back().entry.action == "grant.refuse");
  CHECK(good(host->open<DomainControl>()->list({})).domains.size() == 1);
}

TEST_CASE("a policy is on record before its grants are in force, with the digest of its text") {
  Home home;
  home.options.policy_file = home.dir.path() / "policy.toml";
  spit(home.options.policy_file, kPolicy);
  const auto host = good(open_host(home.options));
  REQUIRE(home.acts().size() == 3);  // what was loaded comes before
  CHECK(home.acts()[2].entry.action == "policy.adopt");
  CHECK_THAT(home.acts()[2].entry.detail, Catch::Contains("policy.toml, SHA-256 "));
  CHECK(host->open<HostControl>()->apply_policy({kPolicy, "web.toml"}));
  const auto acts = home.acts();
  REQUIRE(acts.size() == 5);
  CHECK(acts[3].entry.action == "policy.apply");
  CHECK(acts[3].entry.outcome == Outcome::unknown);
  const std::string digest = home.acts()[2].entry.detail.substr(home.acts()[2].entry.detail.find("SHA-256"));
  CHECK_THAT(acts[3].entry.detail, Catch::Contains("web.toml, " + digest));
  CHECK(acts[4].entry.outcome == Outcome::succeeded);
}

TEST_CASE("what is loaded is on record with its digest, version, signer and carrier") {
  Home home;
  const auto host = good(open_host(home.options));
  const auto acts = home.acts();
  REQUIRE(acts.size() == 2);
  CHECK(acts[0].entry.action == "plugin.load");
  CHECK_THAT(acts[0].entry.detail, Catch::StartsWith("sim, SHA-256 ") && Catch::EndsWith("signed by vmsec-build"));
  CHECK(acts[1].entry.action == "module.load");
  const auto module = good(host->open<HostControl>()->info({})).modules.at(0);
  CHECK(module.signer == "vmsec-build");
  CHECK(acts[1].entry.detail == "toy 1, SHA-256 " + module.digest + ", signed by vmsec-build, " + module.carrier);
}

TEST_CASE("what the operator's store refuses does not load, and that is on record") {
  Home home;
  TrustStore store = good(read_trust_store(shipped_trust()));
  store.file = home.dir.path() / "trust.toml";
  home.options.trust_file = store.file;
  SECTION("its signer's key is revoked: not even the plugin") {
    store.keys[0].revoked = "2026-01-01";
    good(write_trust_store(store));
    CHECK(code_of(open_host(home.options)) == Code::revoked);
    CHECK(home.acts().back().entry.action == "plugin.refuse");
  }
  SECTION("the module is too old") {
    store.minimums = {{"toy", "1.0.1"}};
    good(write_trust_store(store));
    CHECK(code_of(open_host(home.options)) == Code::denied);
    CHECK(home.acts().back().entry.action == "module.refuse");
    CHECK(home.acts().back().entry.outcome == Outcome::refused);
    CHECK_THAT(home.acts().back().entry.detail, Catch::Contains("toy.so") && Catch::Contains("1.0.1"));
  }
  SECTION("the module may not run in the host's process") {
    good(write_trust_store(store));
    home.options.in_process = {"toy"};
    CHECK(code_of(open_host(home.options)) == Code::denied);
    CHECK(home.acts().back().entry.action == "module.refuse");
    store.keys[0].roles.push_back(TrustRole::in_process);
    good(write_trust_store(store));
    CHECK(good(good(open_host(home.options))->open<HostControl>()->info({})).modules.at(0).carrier == "in-process");
  }
  SECTION("a store that is named and not there, or that others may write to") {
    CHECK(code_of(open_host(home.options)) == Code::not_found);
    good(write_trust_store(store));
    fs::permissions(store.file, fs::perms::others_write, fs::perm_options::add);
    CHECK(code_of(open_host(home.options)) == Code::denied);
  }
}

TEST_CASE("nobody but a connection's server calls a PeerHandler") {
  Home home;
  const auto host = good(open_host(home.options));
  CHECK(code_of(host->call("vmsec.PeerHandler", 1, {})) == Code::denied);
  CHECK(code_of(host->call("toy:vmsec.PeerHandler", 1, {})) == Code::denied);
}

TEST_CASE("the host says what it is and has") {
  Home home;
  const auto host = good(open_host(home.options));
  const auto info = good(host->open<HostControl>()->info({}));
  CHECK(info.name == "host-a");
  CHECK(info.policy_in_force.empty());
  CHECK(info.backend == "sim");
  REQUIRE(info.modules.size() == 1);
  CHECK(info.modules[0].name == "toy");
  CHECK(info.modules[0].carrier == (kSanitized ? "in-process" : "worker"));
  CHECK(info.modules[0].state == "running");
  CHECK(info.capabilities.size() == kGrantableInterfaces.size());
}

TEST_CASE("an operator's socket carries calls, also a host's end") {
  Home home;
  auto host = good(open_host(home.options));
  good(host->serve_control());
  const auto agent = good(connect_agent(home.options.control_socket));
  CHECK(good(agent->open<DomainControl>()->list({})).domains.size() == 1);
  CHECK(code_of(agent->open<DomainControl>()->get({uuid_of(9)})) == Code::not_found);
  host->shut_down();
  CHECK(code_of(agent->open<DomainControl>()->list({})) == Code::unavailable);
  CHECK_FALSE(fs::exists(home.options.control_socket));
}

TEST_CASE("what a host pauses is told as an event") {
  Home home;
  const auto host = good(open_host(home.options));
  const auto events = host->open<Events>();
  const std::uint64_t last = good(events->next({0, {}, 0})).last;
  CHECK(host->open<DomainControl>()->pause({uuid_of(1)}));
  const auto heard = good(events->next({last, Microseconds{30'000'000}, 0}));
  REQUIRE_FALSE(heard.events.empty());
  CHECK(heard.events[0].kind == EventKind::domain_paused);
  CHECK(heard.events[0].name == "web-1");
}

TEST_CASE("a host that cannot be opened as configured is not opened at all") {
  Home home;
  SECTION("no such plugin") { home.options.plugin = "none"; }
  SECTION("a plugin by path") { home.options.plugin = "../plugins/sim"; }
  SECTION("no such module") { home.options.modules["nobody"]; }
  SECTION("a module that refuses its settings") {
    home.options.modules["toy"].settings.push_back(Setting{"broken", SettingType::boolean, {}, 0, true, 0, {}, 1, 1});
  }
  SECTION("a policy with findings") {
    home.options.policy_file = home.dir.path() / "policy.toml";
    spit(home.options.policy_file, "version = 1\n[[vm]]\nmatch = \"*\"\n[vm.toy]\ncolour = 1\n");
  }
  SECTION("no policy file") { home.options.policy_file = home.dir.path() / "none.toml"; }
  SECTION("no state folder") { home.options.state_dir.clear(); }
  SECTION("a file for a state folder") {
    home.options.state_dir = home.dir.path() / "file";
    spit(home.options.state_dir, "");
  }
  const auto host = open_host(home.options);
  REQUIRE_FALSE(host);
  CHECK_FALSE(host.error().message.empty());
}

TEST_CASE("a state or run folder that others may write to is refused") {
  Home home;
  const bool run = GENERATE(false, true);
  const std::string folder = run ? home.options.run_dir : home.options.state_dir;
  fs::create_directory(folder);
  fs::permissions(folder, fs::perms(0770));
  const auto host = open_host(home.options);
  CHECK(code_of(host) == Code::denied);
  fs::permissions(folder, fs::perms(0700));
  CHECK(open_host(home.options));
}

TEST_CASE("a host that starts forgets the spent tickets that expired long ago") {
  Home home;
  fs::create_directory(home.options.state_dir);
  fs::permissions(home.options.state_dir, fs::perms(0700));
  const auto spent = good(SpentTickets::open(home.options.state_dir));
  TicketClaims old;
  old.id = std::string(32, 'a');
  old.expires = {1'000'000};
  TicketClaims fresh = old;
  fresh.id = std::string(32, 'b');
  fresh.expires = {system_now().value + 60};
  good(spent.spend(old));
  good(spent.spend(fresh));
  const auto host = good(open_host(home.options));
  CHECK(code_of(spent.spend(fresh)) == Code::denied);
  CHECK(code_of(spent.spend(old)) == Code::ok);
}

TEST_CASE("peers are not served without an identity") {
  Home home;
  home.options.listen = "127.0.0.1:0";
  const auto host = good(open_host(home.options));
  CHECK(code_of(host->serve_peers()) == Code::wrong_state);
  CHECK(host->peer_address().empty());
}

TEST_CASE("a host whose name is not its certificate's does not open") {
  Home home;
  auto authority = good(CertificateAuthority::init(home.dir.path() / "ca", "test"));
  IssueOptions issue;
  issue.out_dir = home.dir.path();
  good(authority.issue("host-b", issue));
  home.options.identity = {authority.certificate_file(),
                           home.dir.path() / "host-b.crt",
                           home.dir.path() / "host-b.key",
                           authority.crl_file(),
                           {}};
  const auto host = open_host(home.options);
  CHECK(code_of(host) == Code::invalid_argument);
  CHECK_THAT(message_of(host), Catch::Contains("host-b"));
}

}  // namespace vmsec::test
