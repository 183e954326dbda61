// What an operator takes back and what tenants choose, with vmsec and vmsecd on the simulated hypervisor.
#include <signal.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>

#include "paths.hpp"
#include "tools/process.hpp"

using namespace vmsec::test;

namespace {

constexpr const char* kDomain =
    "name = \"%s\"\nuuid = \"0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e0%d\"\nmemory = \"16 MiB\"\nvcpus = 1\nseed = 42\n";

constexpr const char* kPolicy = R"(version = 1
[[vm]]
match = "web-*"
[vm.isolation]
cpu_quota = "30%"
[[grant]]
module = "isolation"
vm = "*"
interfaces = ["vmsec.DomainControl", "vmsec.ResourceControl"]
)";

constexpr const char* kTenants = R"([[tenant]]
name = "acme"
vm = "web-*"
offers = ["isolation"]
)";

std::string lib(const char* kind) { return std::string(VMSEC_BINARY_DIR) + "/lib/vmsec/" + kind; }
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// One host with the VMs web-1 and db-1.
struct SimHost {
  TempDir folder;
  std::string socket = folder / "vmsecd.sock";
  std::string config = folder / "vmsecd.toml";
  std::string log = folder / "vmsecd.log";
  std::unique_ptr<Background> agent;

  explicit SimHost(const std::string& policy = kPolicy) {
    std::filesystem::create_directory(folder / "domains");
    define("web-1", 1);
    define("db-1", 2);
    write_file(folder / "policy.toml", policy);
    write_file(config,
               "[host]\nname = \"host-a\"\nstate = \"state\"\nrun = \"run\"\ncontrol = \"vmsecd.sock\"\n"
               "policy = \"policy.toml\"\nmodules = [\"isolation\", \"throttle\"]\nplugin_path = [\"" +
                   lib("plugins") + "\"]\nmodule_path = [\"" + lib("modules") +
                   "\"]\n[backend]\nplugin = \"sim\"\nuri = \"sim:host-a\"\n[backend.settings]\ndomains = \"" +
                   folder / "domains" + "\"\n");
    start();
  }

  void define(const std::string& name, int number) const {
    std::array<char, 512> text{};
    std::snprintf(text.data(), text.size(), kDomain, name.c_str(), number);
    write_file(folder / ("domains/" + name + ".toml"), text.data());
  }

  void start() {
    write_file(log, "");
    agent = std::make_unique<Background>("vmsecd", std::vector<std::string>{"--config", config}, log);
    const bool ready = comes_true([&] { return !agent->running() || has(read_file(log), "vmsecd: ready: host-a"); });
    INFO(read_file(log));
    REQUIRE(ready);
    REQUIRE(agent->running());
  }

  void restart() {
    agent->signal(SIGKILL);  // also what was not told to end keeps what stands
    agent->wait();
    start();
  }

  [[nodiscard]] std::vector<std::string> words(std::vector<std::string> command) const {
    command.insert(command.begin(), {"--agent", socket});
    return command;
  }
  [[nodiscard]] Ran text(const std::vector<std::string>& command) const { return tool(words(command)); }
  [[nodiscard]] nlohmann::json json(const std::vector<std::string>& command, int code = 0) const {
    return tool_json(words(command), code);
  }
  [[nodiscard]] std::vector<std::string> records(const std::string& action) const {
    std::vector<std::string> out;
    const auto shown = json({"audit", "show"});
    for (const auto& record : shown["records"])
      if (record["action"] == action) out.push_back(record.dump());
    return out;
  }
};

}  // namespace

TEST_CASE("what is revoked stays so over another policy and a restart, until it is restored") {
  SimHost host;
  CHECK(host.text({"policy", "apply"}).code == 0);
  const auto done =
      host.json({"grant", "revoke", "isolation", "--vm", "web-*", "--reason", "advisory 7", "--by", "bob"});
  CHECK(done["id"] == 1);
  CHECK(done["domains"] == nlohmann::json({"web-1"}));
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

TEST_CASE("a tenant chooses an offered module for its own VM, and drops it") {
  SimHost host(std::string(kPolicy) + kTenants);
  CHECK(host.text({"policy", "apply"}).code == 3);  // offered, and not chosen
  CHECK(host.text({"tenant", "choose", "acme", "web-1", "isolation", "--by", "alice"}).code == 0);
  CHECK(host.text({"policy", "apply"}).code == 0);
  const auto tenant = host.json({"tenant", "show", "acme"})["tenants"][0];
  CHECK(tenant["domains"][0]["name"] == "web-1");
  CHECK(tenant["choices"][0]["choice"]["module"] == "isolation");
  CHECK(tenant["choices"][0]["idle"] == "");
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
