// vmsec-conformance: one suite that every plugin must pass (README.md).
#include <chrono>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "fixture.hpp"
#include "suite.hpp"

namespace {

using namespace vmsec::conformance;

struct Row {
  Check check;
  Outcome outcome;
};

void add_host_options(CLI::App& app, const std::string& side, HostSetup& setup, std::vector<std::string>& settings) {
  app.add_option("--uri-" + side, setup.uri, "the hypervisor of host " + side);
  app.add_option("--tcti-" + side, setup.tcti, "the TPM of host " + side);
  app.add_option("--event-log-" + side, setup.event_log, "the boot event log of host " + side);
  app.add_option("--setting-" + side, settings, "key=value for the plugin on host " + side);
}

void add_new_options(CLI::App& app, NewDomains& fresh) {
  app.add_option("--new-disk", fresh.disks,
                 "two disks on host a for domains that the checks define; their content is free")
      ->expected(1)
      ->take_all();
  app.add_option("--new-kernel", fresh.kernel, "their kernel");
  app.add_option("--new-initrd", fresh.initrd);
  app.add_option("--new-command-line", fresh.command_line);
  app.add_option("--new-bridge", fresh.bridge, "a bridge of host a for their NIC");
  app.add_option("--new-memory", fresh.memory_mib, "their memory, in MiB");
}

bool take_settings(const std::vector<std::string>& settings, HostSetup& setup) {
  for (const auto& setting : settings) {
    const auto equals = setting.find('=');
    if (equals == std::string::npos) return false;
    setup.settings[setting.substr(0, equals)] = setting.substr(equals + 1);
  }
  return true;
}

const char* name_of(Verdict verdict) {
  return verdict == Verdict::passed ? "passed" : verdict == Verdict::failed ? "FAILED" : "unsupported";
}

void write_json(const std::string& file, const std::string& plugin, const std::vector<Binary>& binaries,
                const std::vector<Row>& rows) {
  nlohmann::ordered_json out;
  out["plugin"] = plugin;
  for (const auto& each : binaries)
    out["binaries"].push_back({{"kind", each.kind}, {"name", each.name}, {"sha256", each.digest}});
  for (const auto& row : rows)
    out["checks"].push_back({{"capability", row.check.capability},
                             {"claim", row.check.claim},
                             {"verdict", name_of(row.outcome.verdict)},
                             {"detail", row.outcome.detail}});
  std::ofstream(file) << out.dump(2) << "\n";
}

}  // namespace

int main(int count, char** arguments) {
  CLI::App app("Runs the conformance suite against two hosts of one plugin");
  Setup setup;
  std::vector<std::string> settings_a;
  std::vector<std::string> settings_b;
  std::string json;
  std::string only;
  app.add_option("--plugin", setup.plugin)->required();
  app.add_option("--plugin-path", setup.plugin_path)->required();
  app.add_option("--module-path", setup.module_path)->required();
  app.add_option("--domain", setup.domain, "runs on host a, reads its disk, uses its CPU")->required();
  app.add_option("--disk", setup.disk, "a disk of that domain")->required();
  app.add_option("--nic", setup.nic, "a NIC of that domain");
  app.add_option("--traveller", setup.traveller, "runs on host a, is migrated to host b")->required();
  add_new_options(app, setup.fresh);
  app.add_option("--json", json, "write the results to this file");
  app.add_option("--only", only, "one capability");
  add_host_options(app, "a", setup.a, settings_a);
  add_host_options(app, "b", setup.b, settings_b);
  CLI11_PARSE(app, count, arguments);
  if (!take_settings(settings_a, setup.a) || !take_settings(settings_b, setup.b)) {
    std::fprintf(stderr, "vmsec-conformance: a setting is key=value\n");
    return 2;
  }

  auto fixture = Fixture::open(setup);
  if (!fixture) {
    std::fprintf(stderr, "vmsec-conformance: %s\n", fixture.error().message.c_str());
    return 1;
  }
  const auto binaries = (*fixture)->binaries();
  if (!binaries) {
    std::fprintf(stderr, "vmsec-conformance: %s\n", binaries.error().message.c_str());
    return 1;
  }
  for (const auto& each : *binaries)
    std::printf("%-11s %-15s sha256 %s\n", each.kind.c_str(), each.name.c_str(), each.digest.c_str());
  Checks checks;
  for (const auto add :
       {add_domain_control, add_resource_control, add_io_control, add_memory_access, add_events, add_boot_evidence,
        add_interchange, add_migration, add_sessions, add_modules, add_vcpus, add_silence})
    add(checks);

  std::vector<Row> rows;
  int failures = 0;
  for (const auto& check : checks) {
    if (!only.empty() && check.capability != only) continue;
    const auto start = std::chrono::steady_clock::now();
    const Outcome outcome = check.run(**fixture);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::printf("%-11s %-15s %s%s%s  (%.2f s)\n", name_of(outcome.verdict), check.capability.c_str(),
                check.claim.c_str(), outcome.detail.empty() ? "" : ": ", outcome.detail.c_str(), seconds.count());
    std::fflush(stdout);
    failures += outcome.verdict == Verdict::failed ? 1 : 0;
    rows.push_back({check, outcome});
  }
  if (!json.empty()) write_json(json, setup.plugin, *binaries, rows);
  std::printf("%s: %zu checks, %d failed\n", setup.plugin.c_str(), rows.size(), failures);
  return failures == 0 ? 0 : 1;
}
