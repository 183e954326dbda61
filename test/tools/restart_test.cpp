// vmsec module list and restart: how a module's process does, and a new one at once.
#include <fstream>

#include "tools/sim_host.hpp"

using namespace vmsec::test;

namespace {

nlohmann::json module_of(const SimHost& host, const std::string& name) {
  const auto list = host.json({"module", "list"});
  for (const auto& module : list["modules"])
    if (module["name"] == name) return module;
  return {};
}

std::string line_of(const std::filesystem::path& file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key)) return line.substr(line.find_first_not_of(" \t", key.size()));
  return {};
}

// The process that a module of this agent runs in; its name is the module's.
pid_t process_of(pid_t agent, const std::string& module) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const auto status = entry.path() / "status";
    if (line_of(status, "PPid:") == std::to_string(agent) && line_of(status, "Name:") == module)
      return std::stoi(entry.path().filename());
  }
  return -1;
}

// Ends it again and again, until its next attempt is some time away.
nlohmann::json wear_out(const SimHost& host, const std::string& module) {
  constexpr std::uint64_t kAWhile = 2'000'000;
  for (int i = 0; i < 10; ++i) {
    REQUIRE(comes_true([&] { return module_of(host, module)["state"] == "running"; }));
    const pid_t process = process_of(host.agent->id(), module);
    REQUIRE(process > 0);
    REQUIRE(::kill(process, SIGKILL) == 0);
    nlohmann::json seen;
    REQUIRE(
        comes_true([&] { return (seen = module_of(host, module))["state"] == "restarting" || seen["restarts"] > i; }));
    if (seen["state"] == "restarting" && seen["restart_in"] > kAWhile) return seen;
  }
  return {};
}

}  // namespace

TEST_CASE("a module that waits for its next attempt is seen with its cause, and restarted now") {
  const SimHost host;
  CHECK(module_of(host, "throttle")["state"] == "running");
  const auto waits = wear_out(host, "throttle");
  REQUIRE_FALSE(waits.is_null());
  CHECK(waits["last_end"] == "it was killed (SIGKILL)");
  const std::string table = host.text({"module", "list"}).out;
  INFO(table);
  CHECK(has(table, "restarting in "));
  CHECK(has(table, "it was killed (SIGKILL)"));

  const auto back = host.json({"module", "restart", "throttle", "--by", "bob"});
  CHECK(back["state"] == "running");
  CHECK(back["restarts"] == waits["restarts"].get<int>() + 1);
  CHECK(has(host.records("module.restart").back(), "for bob"));
}

TEST_CASE("a module that runs is restarted too, and one that is not there is a mistake") {
  const SimHost host;
  const pid_t before = process_of(host.agent->id(), "isolation");
  const Ran done = host.text({"module", "restart", "isolation"});
  INFO(done.err);
  CHECK(done.code == 0);
  CHECK(process_of(host.agent->id(), "isolation") != before);
  CHECK(has(module_of(host, "isolation")["last_end"], "restarted by user"));
  CHECK(host.text({"policy", "apply"}).code == 0);

  const Ran unknown = host.text({"module", "restart", "isolatoin"});
  CHECK(unknown.code == 2);
  CHECK(has(unknown.err, "vmsec module list"));
}

TEST_CASE("a module in the agent's own process is not restarted alone") {
  const TempDir folder;
  const std::string store = folder / "trust.toml";
  REQUIRE(tool({"module", "trust", "add", "vmsec-build", "--role", "in-process", "--trust", store}).code == 0);
  const SimHost host(kPolicy, "in_process = [\"isolation\"]\ntrust = \"" + store + "\"\n");
  CHECK(module_of(host, "isolation")["state"] == "in-process");
  const Ran refused = host.text({"module", "restart", "isolation"});
  CHECK(refused.code == 2);
  CHECK(has(refused.err, "the agent's own process"));
  CHECK(has(refused.err, "systemctl restart vmsecd"));
}

TEST_CASE("a module that would be refused is listed as such") {
  const TempDir folder;
  std::filesystem::copy(lib("modules") + "/throttle.so", folder / "throttle.so");
  const auto found = tool_json({"module", "list", "--scan", "--module-path", folder.path()})["modules"];
  REQUIRE(found.size() == 1);
  CHECK(found[0]["state"] == "refused");
  CHECK(has(tool({"module", "list", "--scan", "--module-path", folder.path()}).out, "refused"));
}
