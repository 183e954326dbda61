#include "tools/two_hosts.hpp"
#include "paths.hpp"

#include <signal.h>

#include <catch2/catch.hpp>

namespace vmsec::test {
namespace {

constexpr const char* kDomain = R"(name = "web-1"
uuid = "0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e01"
memory = "16 MiB"
vcpus = 1
seed = 42
[workload]
dirty_rate = 200
)";

constexpr const char* kPolicy = R"(version = 1
[[grant]]
module = "migration"
vm = "web-*"
interfaces = ["vmsec.Migration", "vmsec.DomainControl"]
[[grant]]
module = "measured_boot"
vm = "*"
interfaces = ["vmsec.BootEvidence"]
)";

std::string lib(const char* kind) { return std::string(VMSEC_BINARY_DIR) + "/lib/vmsec/" + kind; }

const std::string kTpm = std::string(VMSEC_SOURCE_DIR) + "/test/testbed/tpm";
const std::string kEventLog = std::string(VMSEC_SOURCE_DIR) + "/test/data/eventlogs/ovmf-q35.bin";

bool runs(const std::string& command) { return std::system(("(" + command + ") >/dev/null 2>&1").c_str()) == 0; }

}  // namespace

bool has_software_tpm() { return runs("command -v swtpm && command -v swtpm_setup && command -v python3"); }

TwoHosts::TwoHosts(Boot boot) : boot_(boot) {
  REQUIRE(tool({"pki", "init", folder / "ca", "--name", "Test"}).code == 0);
  REQUIRE(tool({"pki", "placement-key", folder / "placement.key"}).code == 0);
  std::filesystem::create_directory(folder / "disks");
  write_file(folder / "policy.toml", kPolicy);
  for (const std::string host : {"host-a", "host-b"}) {
    std::filesystem::create_directories(folder / (host + "/domains"));
    REQUIRE(tool({"pki", "issue", folder / "ca", host, "--out", folder.path()}).code == 0);
    if (boot_ == Boot::measured) boot_tpm(host);
  }
  write_file(folder / "host-a/domains/web-1.toml", kDomain);
}

TwoHosts::~TwoHosts() {
  agents_.clear();
  if (boot_ == Boot::unattested) return;
  for (const std::string host : {"host-a", "host-b"}) runs(kTpm + "/swtpm.sh stop '" + folder / (host + "/tpm") + "'");
}

void TwoHosts::boot_tpm(const std::string& host) const {
  const std::string tpm = folder / (host + "/tpm");
  REQUIRE(runs(kTpm + "/swtpm.sh make '" + tpm + "' '" + folder / "tpm-ca" + "'"));
  REQUIRE(runs(kTpm + "/swtpm.sh start '" + tpm + "'"));
  REQUIRE(runs(kTpm + "/replay extend '" + tpm + "/sock' '" + kEventLog + "'"));
}

void TwoHosts::write_config(const std::string& host, const std::string& peer, const std::string& address) {
  std::string text =
      "[host]\nname = \"" + host + "\"\nstate = \"" + host + "/state\"\nrun = \"" + host + "/run\"\ncontrol = \"" +
      host +
      "/vmsecd.sock\"\nlisten = \"127.0.0.1:0\"\npolicy = \"policy.toml\"\n"
      "modules = [\"migration\", \"measured_boot\"]\nin_process = [\"measured_boot\"]\ntrust = \"" VMSEC_BINARY_DIR
      "/test/trust.toml\"\nplugin_path = [\"" +
      lib("plugins") + "\"]\nmodule_path = [\"" + lib("modules") + "\"]\n";
  text += "[backend]\nplugin = \"sim\"\nuri = \"sim:" + host + "\"\n[backend.settings]\ndomains = \"" +
          folder / (host + "/domains") + "\"\ndisks = \"" + folder / "disks" + "\"\n";
  text += "[identity]\nca = \"ca/ca.crt\"\nrevocations = \"ca/ca.crl\"\ncertificate = \"" + host + ".crt\"\nkey = \"" +
          host + ".key\"\nplacement_keys = [\"placement.key.pub\"]\n";
  text += "[[peer]]\nname = \"" + peer + "\"\naddress = \"" + address + "\"\n";
  text += "[module.measured_boot]\nreference = \"" + folder / "reference.toml" + "\"\n";
  text +=
      std::string("[module.migration]\nattestation = \"") + (boot_ == Boot::measured ? "required" : "none") + "\"\n";
  if (boot_ == Boot::measured)
    text += "[tpm]\ntcti = \"swtpm:path=" + folder / (host + "/tpm/sock") + "\"\nevent_log = \"" + kEventLog + "\"\n";
  write_file(folder / (host + ".toml"), text);
}

void TwoHosts::start(const std::string& host) {
  const std::string log = folder / (host + ".log");
  std::filesystem::remove(log);
  agents_[host] =
      std::make_unique<Background>("vmsecd", std::vector<std::string>{"--config", folder / (host + ".toml")}, log);
  Background& agent = *agents_[host];
  const bool ready =
      comes_true([&] { return !agent.running() || read_file(log).find("vmsecd: ready: ") != std::string::npos; });
  INFO(read_file(log));
  REQUIRE(ready);
  REQUIRE(agent.running());
}

void TwoHosts::start() {
  // Nobody listens at port 1: host-b only answers here.
  write_config("host-b", "host-a", "127.0.0.1:1");
  start("host-b");
  write_config("host-a", "host-b", json("host-b", {"host", "info"})["listen"]);
  start("host-a");
}

void TwoHosts::kill(const std::string& host) {
  agents_[host]->signal(SIGKILL);
  agents_[host]->wait();
}

Ran TwoHosts::text(const std::string& host, std::vector<std::string> command) const {
  command.insert(command.begin(), {"--agent", folder / (host + "/vmsecd.sock")});
  return tool(command);
}

nlohmann::json TwoHosts::json(const std::string& host, std::vector<std::string> command, int code) const {
  command.insert(command.begin(), {"--agent", folder / (host + "/vmsecd.sock")});
  return tool_json(command, code);
}

std::string TwoHosts::ticket() {
  const std::string file = folder / ("ticket-" + std::to_string(++tickets_));
  const Ran made = text(
      "host-a", {"ticket", "create", "--key", folder / "placement.key", "--vm", "web-1", "--to", "host-b",
                 "--source-cert", folder / "host-a.crt", "--destination-cert", folder / "host-b.crt", "--out", file});
  INFO(made.err);
  REQUIRE(made.code == 0);
  return file;
}

}  // namespace vmsec::test
