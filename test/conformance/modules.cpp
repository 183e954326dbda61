// The modules of this project, through the Host: the same binaries on every hypervisor.
#include "fixture.hpp"
#include "suite.hpp"
#include "vmsec/service/migrator.hpp"

namespace vmsec::conformance {
namespace {

Settings one(std::string path, std::string value) {
  Setting setting;
  setting.path = std::move(path);
  setting.type = SettingType::text;
  setting.text = std::move(value);
  return {{setting}};
}

const Settings kQuota = one("cpu_quota", "40%");
const Settings kNoQuota = one("cpu_quota", "unlimited");

Settings disk_rate(const Fixture& fixture, std::string rate) {
  return one("disk." + fixture.setup().disk + ".read", std::move(rate));
}

Outcome isolation_applies_once(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto isolation = fixture.module_of_a<Enforcement>("isolation");
  CONFORMANCE_TRY(const auto difference, isolation->diff({domain, kQuota}));
  CONFORMANCE_TRY(const auto first, isolation->apply({domain, kQuota}));
  CONFORMANCE_TRY(const auto second, isolation->apply({domain, kQuota}));
  CONFORMANCE_TRY(const auto limits, fixture.open_a<ResourceControl>()->get({domain}));
  CONFORMANCE_CHECK(isolation->apply({domain, kNoQuota}));
  CONFORMANCE_EXPECT(difference.changes.size() == 1 && first.changes.size() == 1,
                     "diff and apply do not change one value");
  CONFORMANCE_EXPECT(second.changes.empty(), "applying twice changed something");
  CONFORMANCE_EXPECT(limits.cpu_quota_millis.value_or(0) >= 395 && *limits.cpu_quota_millis <= 405,
                     "the quota is not set");
  return passed();
}

Outcome diff_changes_nothing(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto before, fixture.open_a<ResourceControl>()->get({domain}));
  CONFORMANCE_CHECK(fixture.module_of_a<Enforcement>("isolation")->diff({domain, kQuota}));
  CONFORMANCE_TRY(const auto after, fixture.open_a<ResourceControl>()->get({domain}));
  CONFORMANCE_EXPECT(wire::encode(before) == wire::encode(after), "diff changed a limit");
  return passed();
}

Outcome throttle_applies_once(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  const auto throttle = fixture.module_of_a<Enforcement>("throttle");
  CONFORMANCE_TRY(const auto first, throttle->apply({domain, disk_rate(fixture, "7 MB/s")}));
  CONFORMANCE_TRY(const auto second, throttle->apply({domain, disk_rate(fixture, "7 MB/s")}));
  CONFORMANCE_CHECK(fixture.open_a<IoControl>()->set_disk({domain, DiskLimit{fixture.setup().disk}}));
  CONFORMANCE_EXPECT(first.changes.size() == 1, std::to_string(first.changes.size()) + " changes");
  CONFORMANCE_EXPECT(second.changes.empty(), "applying twice changed something");
  return passed(first.changes.front().what + ": " + first.changes.front().is + " -> " + first.changes.front().wanted);
}

template <class Module>
Outcome finds(Fixture& fixture, Module module, const Settings& settings) {
  CONFORMANCE_TRY(const auto findings, fixture.module_of_a<Enforcement>(module)->check(settings));
  CONFORMANCE_EXPECT(!findings.findings.empty(), "nothing was found");
  return passed(findings.findings.front().message);
}

Outcome unknown_disk(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  return expect(Code::not_found,
                fixture.module_of_a<Enforcement>("throttle")->apply({domain, one("disk.nosuch.read", "1 MB/s")}));
}

Outcome stranger_is_not_found(Fixture& fixture, const std::string& module, const Settings& settings) {
  return expect(Code::not_found, fixture.module_of_a<Enforcement>(module)->apply({stranger(), settings}));
}

Outcome policy_applies(Fixture& fixture) {
  const std::string text =
      "version = 1\n[[vm]]\nmatch = \"" + fixture.setup().domain +
      "\"\n[vm.isolation]\ncpu_quota = \"60%\"\n"
      "[[grant]]\nmodule = \"isolation\"\nvm = \"*\"\ninterfaces = [\"vmsec.DomainControl\", "
      "\"vmsec.ResourceControl\"]\n"
      "[[grant]]\nmodule = \"migration\"\nvm = \"*\"\ninterfaces = [\"vmsec.DomainControl\", \"vmsec.Migration\"]\n"
      "[[grant]]\nmodule = \"throttle\"\nvm = \"*\"\ninterfaces = [\"vmsec.DomainControl\", \"vmsec.IoControl\"]\n";
  const auto control = fixture.open_a<HostControl>();
  CONFORMANCE_TRY(const auto first, control->apply_policy({text, "conformance.toml"}));
  CONFORMANCE_TRY(const auto second, control->apply_policy({text, "conformance.toml"}));
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_CHECK(fixture.module_of_a<Enforcement>("isolation")->apply({domain, kNoQuota}));
  CONFORMANCE_EXPECT(first.findings.empty() && first.domains.size() == 1, "it does not match one domain");
  CONFORMANCE_EXPECT(first.domains[0].error.empty(), first.domains[0].error);
  CONFORMANCE_EXPECT(first.domains[0].changes.size() == 1 && second.domains[0].changes.empty(), "twice is not once");
  return passed();
}

Outcome bad_policy_changes_nothing(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.domain());
  CONFORMANCE_TRY(const auto before, fixture.open_a<ResourceControl>()->get({domain}));
  const std::string text =
      "version = 1\n[[vm]]\nmatch = \"*\"\n[vm.isolation]\ncpu_quota = \"60 bananas\"\n"
      "[[grant]]\nmodule = \"isolation\"\nvm = \"*\"\ninterfaces = [\"vmsec.DomainControl\", "
      "\"vmsec.ResourceControl\"]\n";
  CONFORMANCE_TRY(const auto report, fixture.open_a<HostControl>()->apply_policy({text, "bad.toml"}));
  CONFORMANCE_TRY(const auto after, fixture.open_a<ResourceControl>()->get({domain}));
  CONFORMANCE_EXPECT(report.findings.size() == 1 && report.findings[0].line == 5, "not one finding at line 5");
  CONFORMANCE_EXPECT(wire::encode(before) == wire::encode(after), "a bad policy changed a limit");
  return passed(report.findings[0].message);
}

// ---- the migration module ---------------------------------------------------

Result<MigrationStatus> migrate(Fixture& fixture, const Uuid& domain, const std::string& ticket, Cipher cipher) {
  MigrateRequest request;
  request.domain = domain;
  request.destination = "conformance-b";
  request.ticket = ticket;
  request.cipher = cipher;
  const auto migrator = fixture.open_a<Migrator>();
  VMSEC_TRY(MigrationStatus status, migrator->migrate(request));
  const auto ended = [&] {
    return status.state == MigrationState::completed || status.state == MigrationState::failed ||
           status.state == MigrationState::in_doubt;
  };
  while (!ended()) {
    VMSEC_TRY(status, migrator->status({status.migration, {200'000}}));
  }
  return status;
}

// The traveller stays where it is, and no byte of it is sent.
Outcome refused(Fixture& fixture, const std::string& ticket, Cipher cipher) {
  CONFORMANCE_TRY(const Uuid domain, fixture.find(fixture.setup().traveller));
  const auto status = migrate(fixture, domain, ticket, cipher);
  if (status) {
    CONFORMANCE_EXPECT(status->state == MigrationState::failed, "it was not refused");
    CONFORMANCE_EXPECT(status->guest_bytes.value == 0, "guest bytes were sent");
    CONFORMANCE_EXPECT(family(status->code) == Family::security || status->code == Code::invalid_argument,
                       "refused as " + std::string(to_string(status->code)) + ": " + status->cause);
  }
  CONFORMANCE_TRY(const auto info, fixture.open_a<DomainControl>()->get({domain}));
  CONFORMANCE_EXPECT(info.state == DomainState::running, "the traveller does not run on at its source");
  const auto there = fixture.open_b<DomainControl>()->get({domain});
  CONFORMANCE_EXPECT(!there, "something of it is at the destination");
  return passed(status ? status->cause : status.error().message);
}

Outcome without_ticket(Fixture& fixture) { return refused(fixture, "", Cipher::aes_128_gcm); }

Outcome foreign_ticket(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid other, fixture.domain());
  CONFORMANCE_TRY(const std::string ticket, fixture.ticket(other));
  return refused(fixture, ticket, Cipher::aes_128_gcm);
}

Outcome spoiled_ticket(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.find(fixture.setup().traveller));
  CONFORMANCE_TRY(std::string ticket, fixture.ticket(domain));
  ticket[ticket.size() / 2] = static_cast<char>(ticket[ticket.size() / 2] ^ 1);
  return refused(fixture, ticket, Cipher::aes_128_gcm);
}

Outcome plaintext_is_refused(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.find(fixture.setup().traveller));
  CONFORMANCE_TRY(const std::string ticket, fixture.ticket(domain));
  return refused(fixture, ticket, Cipher::none);
}

Outcome traveller_arrives(Fixture& fixture) {
  CONFORMANCE_TRY(const Uuid domain, fixture.find(fixture.setup().traveller));
  CONFORMANCE_CHECK(fixture.module_of_a<Enforcement>("isolation")->apply({domain, kQuota}));
  CONFORMANCE_TRY(const std::string ticket, fixture.ticket(domain));
  CONFORMANCE_TRY(const auto status, migrate(fixture, domain, ticket, Cipher::aes_128_gcm));
  CONFORMANCE_EXPECT(status.state == MigrationState::completed, status.cause);
  CONFORMANCE_TRY(const auto there, fixture.open_b<DomainControl>()->get({domain}));
  CONFORMANCE_EXPECT(there.state == DomainState::running, "it does not run at its destination");
  CONFORMANCE_EXPECT(!fixture.open_a<DomainControl>()->get({domain}), "it is still at its source");
  CONFORMANCE_EXPECT(status.guest_bytes.value > 0 && status.bytes_sent >= status.guest_bytes, "bytes are not told");
  CONFORMANCE_EXPECT(status.cipher.find("AES-128-GCM") != std::string::npos, "cipher is \"" + status.cipher + "\"");
  return passed(status.cipher + ", " + std::to_string(status.bytes_sent.value >> 10) + " KiB, stopped for " +
                std::to_string(status.downtime.value / 1000) + " ms of " +
                std::to_string(status.total_time.value / 1000) + " ms");
}

Outcome limits_travel(Fixture& fixture) {
  CONFORMANCE_TRY(const auto list, fixture.open_b<DomainControl>()->list({}));
  for (const auto& info : list.domains) {
    if (info.name != fixture.setup().traveller) continue;
    CONFORMANCE_TRY(const auto limits, fixture.open_b<ResourceControl>()->get({info.domain}));
    const auto quota = limits.cpu_quota_millis.value_or(0);
    CONFORMANCE_EXPECT(quota >= 395 && quota <= 405,
                       "the quota of 400 is " + std::to_string(quota) + " at the destination");
    return passed();
  }
  return failed("the traveller is not at the destination");
}

Outcome vcpus_travel(Fixture& fixture) {
  CONFORMANCE_TRY(const auto list, fixture.open_b<DomainControl>()->list({}));
  for (const auto& info : list.domains) {
    if (info.name != fixture.setup().traveller) continue;
    const std::string has = std::to_string(info.vcpus) + " of " + std::to_string(info.vcpus_maximum);
    CONFORMANCE_EXPECT(info.vcpus == 1 && info.vcpus_maximum == 2, "1 vCPU of 2 is " + has + " at the destination");
    return passed(has);
  }
  return failed("the traveller is not at the destination");
}

Outcome nothing_in_doubt(Fixture& fixture) {
  CONFORMANCE_TRY(const auto list, fixture.open_a<Migrator>()->list({}));
  CONFORMANCE_EXPECT(!list.migrations.empty(), "no migration is listed");
  CONFORMANCE_TRY(const auto resolved, fixture.open_a<Migrator>()->resolve({}));
  for (const auto& entry : resolved.migrations)
    CONFORMANCE_EXPECT(entry.state != MigrationState::in_doubt, "a migration is in doubt");
  return passed(std::to_string(list.migrations.size()) + " listed");
}

}  // namespace

void add_modules(Checks& checks) {
  const auto add = [&](std::string capability, std::string claim, std::function<Outcome(Fixture&)> run) {
    checks.push_back({std::move(capability), std::move(claim), std::move(run)});
  };
  add("isolation", "a quota is applied once", isolation_applies_once);
  add("isolation", "diff changes nothing", diff_changes_nothing);
  add("isolation", "a wrong unit is found",
      [](Fixture& f) { return finds(f, "isolation", one("cpu_quota", "60 bananas")); });
  add("isolation", "an unknown key is found", [](Fixture& f) { return finds(f, "isolation", one("cpu_qota", "60%")); });
  add("isolation", "a stranger is not_found", [](Fixture& f) { return stranger_is_not_found(f, "isolation", kQuota); });
  add("throttle", "a disk rate is applied once", throttle_applies_once);
  add("throttle", "a wrong unit is found",
      [](Fixture& f) { return finds(f, "throttle", one("disk.vda.read", "5 MB")); });
  add("throttle", "a disk that the domain lacks is not_found", unknown_disk);
  add("throttle", "a stranger is not_found",
      [](Fixture& f) { return stranger_is_not_found(f, "throttle", disk_rate(f, "5 MB/s")); });
  add("policy", "a policy is applied once", policy_applies);
  add("policy", "a bad policy changes nothing", bad_policy_changes_nothing);
  add("migration", "without a ticket nothing moves", without_ticket);
  add("migration", "another domain's ticket moves nothing", foreign_ticket);
  add("migration", "a spoiled ticket moves nothing", spoiled_ticket);
  add("migration", "no encryption is refused where it is required", plaintext_is_refused);
  add("migration", "a domain moves, encrypted, and runs at one host", traveller_arrives);
  add("migration", "its limits have moved with it", limits_travel);
  add("migration", "it has the vCPUs that it had", vcpus_travel);
  add("migration", "nothing is in doubt afterwards", nothing_in_doubt);
}

}  // namespace vmsec::conformance
