// One simulated host with its agent, for tests that act as an operator does.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "paths.hpp"
#include "tools/process.hpp"

namespace vmsec::test {

inline constexpr const char* kPolicy = R"(version = 1
[[vm]]
match = "web-*"
[vm.isolation]
cpu_quota = "30%"
[[grant]]
module = "isolation"
vm = "*"
interfaces = ["vmsec.DomainControl", "vmsec.ResourceControl"]
)";

inline std::string lib(const char* kind) { return std::string(VMSEC_BINARY_DIR) + "/lib/vmsec/" + kind; }
inline bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// One host without VMs, that has not been started.
struct BareHost {
  TempDir folder;
  std::string socket = folder / "vmsecd.sock";
  std::string config = folder / "vmsecd.toml";
  std::string log = folder / "vmsecd.log";
  std::unique_ptr<Background> agent;

  // `more` stands in [host].
  explicit BareHost(const std::string& policy, const std::string& more = {}) {
    std::filesystem::create_directory(folder / "domains");
    write_file(folder / "policy.toml", policy);
    write_file(config,
               "[host]\nname = \"host-a\"\nstate = \"state\"\nrun = \"run\"\ncontrol = \"vmsecd.sock\"\n"
               "policy = \"policy.toml\"\nmodules = [\"isolation\", \"throttle\"]\nplugin_path = [\"" +
                   lib("plugins") + "\"]\nmodule_path = [\"" + lib("modules") + "\"]\n" + more +
                   "[backend]\nplugin = \"sim\"\nuri = \"sim:host-a\"\n[backend.settings]\ndomains = \"" +
                   folder / "domains" + "\"\n");
  }

  // `more`: its disks, for example.
  void define(const std::string& name, const std::string& uuid, const std::string& more = {}) const {
    write_file(folder / ("domains/" + name + ".toml"),
               "name = \"" + name + "\"\nuuid = \"" + uuid + "\"\nmemory = \"16 MiB\"\nvcpus = 1\nseed = 42\n" + more);
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

// With the VMs web-1 and db-1, and started.
struct SimHost : BareHost {
  explicit SimHost(const std::string& policy = kPolicy, const std::string& more = {}) : BareHost(policy, more) {
    define("web-1", "0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e01");
    define("db-1", "0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e02");
    start();
  }
};

}  // namespace vmsec::test
