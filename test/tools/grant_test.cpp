// What an operator takes back and what tenants choose, with vmsec and vmsecd on the simulated hypervisor.
#include "tools/sim_host.hpp"

using namespace vmsec::test;

namespace {

constexpr const char* kTenants = R"([[tenant]]
name = "acme"
vm = "web-*"
offers = ["isolation"]
)";

}  // namespace

TEST_CASE("what is revoked stays so over another policy and a restart, until it is restored") {
  SimHost host;
  CHECK(host.text({"policy", "apply"}).code == 0);
  const auto done =
      host.json({"grant", "revoke", "isolation", "--vm", "web-*", "--reason", "advisory 7", "--by", "bob"});
  CHECK(done["id"] == 1);
  REQUIRE(done["domains"].size() == 1);
  CHECK(done["domains"][0]["name"] == "web-1");
  CHECK(done["domains"][0]["domain"] == "0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e01");
  CHECK(done["by"] == "user " + std::to_string(::geteuid()) + " for bob");

  const Ran refused = host.text({"policy", "diff"});
  CHECK(refused.code == 3);
  CHECK(has(refused.err, "vmsec grant restore 1"));
  const Ran applied = host.text({"policy", "apply"});
  CHECK(applied.code == 3);
  CHECK(has(applied.out, "still withdrawn until \"vmsec grant restore ID\""));
  CHECK(has(host.text({"host", "info"}).out, "vmsec grant list"));

  host.restart();
  const auto list = host.json({"grant", "list"});
  REQUIRE(list["withdrawals"].size() == 1);
  CHECK(list["withdrawals"][0]["reason"] == "advisory 7");
  CHECK(list["grants"][0]["interfaces"].size() == 2);
  CHECK(list["grants"][0]["vm"] == "*");
  CHECK(has(host.text({"grant", "list"}).out, "advisory 7"));
  CHECK(host.text({"policy", "apply"}).code == 3);
  CHECK(has(host.records("grant.refuse").back(), "isolation"));
  CHECK(has(host.records("grant.revoke").back(), "for bob: advisory 7"));

  CHECK(host.text({"grant", "restore", "1", "--reason", "patched"}).code == 0);
  CHECK(host.text({"policy", "apply"}).code == 0);
  CHECK(host.json({"grant", "list"})["withdrawals"].empty());
  CHECK(has(host.records("grant.restore").back(), "patched"));
  CHECK(host.text({"grant", "restore", "1", "--reason", "patched"}).code == 2);
}

TEST_CASE("a reason is asked for, and a module that is not there is a mistake") {
  const SimHost host;
  CHECK(host.text({"grant", "revoke", "isolation"}).code == 2);
  const Ran unknown = host.text({"grant", "revoke", "isolatoin", "--reason", "x"});
  CHECK(unknown.code == 2);
  CHECK(has(unknown.err, "isolation, throttle"));
  CHECK(host.text({"grant", "revoke", "isolation", "--vm", "a", "--tag", "b", "--reason", "x"}).code == 2);
  CHECK(host.text({"grant", "revoke", "isolation", "--interface", "vmsec.Root", "--reason", "x"}).code == 2);
  CHECK(host.json({"grant", "list"})["withdrawals"].empty());
}

TEST_CASE("an agent whose file of withdrawals was changed does not start") {
  SimHost host;
  CHECK(host.text({"grant", "revoke", "isolation", "--reason", "x"}).code == 0);
  host.agent->signal(SIGTERM);
  host.agent->wait();
  const std::string file = host.folder / "state/grants";
  std::string bytes = read_file(file);
  REQUIRE_FALSE(bytes.empty());
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_file(file, bytes);
  const Ran ran = run("vmsecd", {"--config", host.config});
  CHECK(ran.code == 3);
  CHECK(has(ran.out + ran.err, "state/grants"));
}

TEST_CASE("--json of grants and tenants has fields for programs, and no texts for people") {
  const SimHost host(std::string(kPolicy) + kTenants);
  const auto withdrawn = host.json({"grant", "revoke", "isolation", "--tag", "batch", "--reason", "x", "--by", "bob"});
  CHECK(withdrawn["id"].is_number());
  CHECK(withdrawn["vm"].is_null());
  CHECK(withdrawn["tag"] == "batch");
  CHECK(withdrawn["keeps_memory"].is_boolean());
  CHECK(withdrawn["by_user"] == ::geteuid());
  CHECK(withdrawn["by_name"] == "bob");
  CHECK(withdrawn["time"].get<std::string>().ends_with("Z"));
  for (const auto& grant : host.json({"grant", "list"})["grants"]) {
    CHECK_FALSE(grant.contains("vms"));
    CHECK(grant["tag"].is_null());
  }

  const auto made = host.json({"tenant", "choose", "acme", "web-1", "isolation"});
  CHECK(made["choice"]["domain"] == "0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e01");
  CHECK(made["choice"]["by_user"] == ::geteuid());
  CHECK(made["choice"]["time"].get<std::string>().ends_with("Z"));
  CHECK(made["name"] == "web-1");
  CHECK(made["in_effect"] == true);
  CHECK(made["idle"].is_null());
  const auto tenant = host.json({"tenant", "show", "acme"})["tenants"][0];
  CHECK(tenant["vm"] == "web-*");
  CHECK_FALSE(tenant.contains("vms"));
  CHECK(tenant["choices"][0] == made);
  CHECK(host.json({"tenant", "drop", "acme", "web-1", "isolation"})["chosen"] == false);
}

TEST_CASE("a tenant chooses an offered module for its own VM, and drops it") {
  SimHost host(std::string(kPolicy) + kTenants);
  CHECK(host.text({"policy", "apply"}).code == 3);  // offered, and not chosen
  CHECK(host.text({"tenant", "choose", "acme", "web-1", "isolation", "--by", "alice"}).code == 0);
  CHECK(host.text({"policy", "apply"}).code == 0);
  const auto tenant = host.json({"tenant", "show", "acme"})["tenants"][0];
  CHECK(tenant["domains"][0]["name"] == "web-1");
  CHECK(tenant["choices"][0]["choice"]["module"] == "isolation");
  CHECK(tenant["choices"][0]["in_effect"] == true);
  CHECK(has(host.text({"tenant", "show"}).out, "for alice"));

  CHECK(host.text({"tenant", "choose", "acme", "db-1", "isolation"}).code == 3);
  CHECK(host.text({"tenant", "choose", "acme", "web-1", "throttle"}).code == 3);
  CHECK(host.text({"tenant", "choose", "globex", "web-1", "isolation"}).code == 3);
  CHECK(host.text({"tenant", "show", "globex"}).code == 2);
  CHECK(has(host.records("tenant.choose").back(), "globex"));

  host.restart();
  CHECK(host.text({"policy", "apply"}).code == 0);
  CHECK(host.text({"tenant", "drop", "acme", "web-1", "isolation"}).code == 0);
  CHECK(host.text({"policy", "apply"}).code == 3);
  CHECK(host.text({"tenant", "drop", "acme", "web-1", "isolation"}).code == 2);
}

TEST_CASE("warnings are told, and with --strict they are mistakes") {
  const SimHost host;
  const std::string file = host.folder / "wide.toml";
  write_file(file,
             "version = 1\n[[grant]]\nmodule = \"isolation\"\nvm = \"*\"\ninterfaces = [\"vmsec.MemoryAccess\"]\n"
             "[[tenant]]\nname = \"a\"\nvm = \"nobody-*\"\noffers = []\n");
  const Ran told = host.text({"policy", "check", file});
  CHECK(told.code == 0);
  CHECK(has(told.err, file + ":2:1: warning: [[grant]] to \"isolation\": vmsec.MemoryAccess is nothing"));
  CHECK(has(told.err, "vmsec.MemoryAccess on every VM"));
  CHECK(has(told.err, file + ":6:1: warning: [[tenant]] \"a\" for VM \"nobody-*\" matches no VM"));
  const Ran strict = host.text({"policy", "check", "--strict", file});
  CHECK(strict.code == 2);
  CHECK(has(strict.err, "--strict lets none pass"));
  CHECK(host.text({"policy", "check", "--strict"}).code == 0);
}
